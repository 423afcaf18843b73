"""`python -m bench.export REQUEST`: a child of the bench, which runs as the command line does, garbage and all."""

from exporter import garbage

if __name__ == "__main__":
    garbage.collect_seldom()
    try:
        from bench import jobs

        jobs.run()
    finally:
        garbage.spare_the_last_look()
