"""The audit log on the command line."""

import getpass
import json


def entries(run, *arguments):
    told = json.loads(run("audit", "list", "--json", "--limit", "100", *arguments).output)
    return told["entries"]


def test_what_a_command_does_is_noted_with_the_account_of_the_machine(run, shop_registered, tmp_path):
    token = run("tokens", "create", "ada").output.strip()
    run("users", "create", "max", stdin="pw\n")
    run("users", "set-password", "max", stdin="secret\n")
    run("users", "disable", "max")
    run("users", "enable", "max")
    run("users", "disable", "nobody", code=1)
    run("exports", "create", "shop", "--table", "orders", "--output", str(tmp_path))
    run("datasources", "remove", "shop")
    found = entries(run)
    assert [(each["action"], each["object"]["name"], each["reason"]) for each in reversed(found)] == [
        ("user.create", "ada", None),
        ("datasource.create", "shop", None),
        ("token.create", "command line", None),
        ("user.create", "max", None),
        ("user.password", "max", None),
        ("user.disable", "max", None),
        ("user.enable", "max", None),
        ("user.disable", None, "user_not_found"),
        ("export.create", "shop", None),
        ("export.download", "shop", None),
        ("datasource.delete", "shop", None),
    ]
    assert {each["address"] for each in found} == {f"cli:{getpass.getuser()}"}
    assert {each["user"]["username"] for each in found if each["user"]} == {"ada"}
    text = json.dumps(found)
    assert "secret" not in text
    assert token not in text


def test_the_list_is_a_table_for_people_and_can_be_narrowed(run, shop_registered):
    run("tokens", "create", "ada", "--name", "nightly")
    told = run("audit", "list", "--by", "ada", "--since", "2020-01-01").output
    assert "nightly" in told
    assert "datasource.create" not in told
    assert run("audit", "list", "--action", "user.enable").output == "Nothing was done yet.\n"


def test_a_time_that_is_none_is_told(run, shop_registered):
    assert "since: Must be a day or a moment" in run("audit", "list", "--since", "soon", code=1).output
