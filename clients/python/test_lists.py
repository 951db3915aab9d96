"""Lists page by page, with markers that lead on and nowhere else."""

import base64

import pytest

from harness.oracle import error
from harness.server import Server


@pytest.fixture(scope="module")
def things(kms) -> dict:
    """Seven keys, of which one has seven aliases and seven tags."""
    tags = [{"TagKey": f"tag{number}", "TagValue": str(number)} for number in range(7)]
    keys = [kms.create_key(Tags=tags if number == 0 else [])["KeyMetadata"] for number in range(7)]
    names = [f"alias/lists/{number}" for number in range(7)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=keys[0]["KeyId"])
    return {"keys": keys, "tags": tags, "names": names}


def pages(kms, operation: str, size: int, **more) -> list[dict]:
    return list(kms.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}, **more))


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_every_entry_stands_on_exactly_one_page(kms, things, size):
    key_id = things["keys"][0]["KeyId"]
    for operation, member, name, expected, more in [
        ("list_keys", "Keys", "KeyArn", {key["Arn"] for key in things["keys"]}, {}),
        ("list_aliases", "Aliases", "AliasName", set(things["names"]), {}),
        ("list_aliases", "Aliases", "AliasName", set(things["names"]), {"KeyId": key_id}),
        ("list_resource_tags", "Tags", "TagKey", {f"tag{number}" for number in range(7)}, {"KeyId": key_id}),
        ("list_key_policies", "PolicyNames", None, {"default"}, {"KeyId": key_id}),
    ]:
        found = pages(kms, operation, size, **more)
        entries = [entry[name] if name else entry for page in found for entry in page[member]]
        assert len(entries) == len(set(entries)), f"{operation} gives an entry twice"
        assert expected <= set(entries)
        if more:
            assert expected == set(entries)
        assert all(len(page[member]) == size for page in found[:-1])
        assert [page["Truncated"] for page in found] == [True] * (len(found) - 1) + [False]
        assert all(("NextMarker" in page) == page["Truncated"] for page in found)


def test_a_page_goes_on_after_its_last_entry_was_removed(kms, things):
    made = [kms.create_alias(AliasName=f"alias/gone/{n}", TargetKeyId=things["keys"][1]["KeyId"]) for n in range(3)]
    assert len(made) == 3
    about = {"KeyId": things["keys"][1]["KeyId"], "Limit": 1}
    first = kms.list_aliases(**about)
    kms.delete_alias(AliasName="alias/gone/0")
    second = kms.list_aliases(**about, Marker=first["NextMarker"])
    names = [page["Aliases"][0]["AliasName"] for page in (first, second)]
    assert names == ["alias/gone/0", "alias/gone/1"]


def test_markers_lead_nowhere_but_where_they_were_given(server: Server, witness, kms, things):
    one, other = (key["KeyId"] for key in things["keys"][:2])
    marker = kms.list_keys(Limit=1)["NextMarker"]
    of_tags = kms.list_resource_tags(KeyId=one, Limit=1)["NextMarker"]
    of_aliases = kms.list_aliases(KeyId=one, Limit=1)["NextMarker"]
    flipped = bytearray(base64.b64decode(marker))
    flipped[-1] ^= 1
    cases = [
        ("ListKeys", {"Marker": "AAAA"}),
        ("ListKeys", {"Marker": "not base64 at all"}),
        ("ListKeys", {"Marker": marker[:-4]}),
        ("ListKeys", {"Marker": base64.b64encode(flipped).decode()}),
        ("ListKeys", {"Marker": of_tags}),
        ("ListAliases", {"Marker": marker}),
        ("ListAliases", {"Marker": of_aliases}),
        ("ListAliases", {"Marker": of_aliases, "KeyId": other}),
        ("ListResourceTags", {"Marker": of_tags, "KeyId": other}),
        ("ListResourceTags", {"Marker": marker, "KeyId": one}),
        ("ListKeyPolicies", {"Marker": marker, "KeyId": one}),
    ]
    with server.connect() as connection:
        for operation, body in cases:
            before = witness.standing()
            reply = connection.exchange(server.signer().call(operation, body))
            expected = error("InvalidMarkerException", f"Invalid Marker passed in {operation} operation.")
            witness.check_denied(before, [reply], status=400, body=expected)
        before = witness.standing()
        elsewhere = server.signer(region="eu-west-1").call("ListKeys", {"Marker": marker})
        expected = error("InvalidMarkerException", "Invalid Marker passed in ListKeys operation.")
        witness.check_denied(before, [connection.exchange(elsewhere)], status=400, body=expected)
