"""The command line: the same services as the API, for one terminal. One file per noun."""
