"""The models in the zip: they say what botocore's own say, of everything that the functions may ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader

from chalicelib.read import models
from tests.documents import ROOT

REGIONS = ("us-east-1", "ap-northeast-1", "cn-north-1", "us-gov-west-1", "mars-north-1")
"""The last one has yet to be opened."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> models.Models:
    made = tmp_path_factory.mktemp("models")
    models.write(made)
    return models.Models(made)


@pytest.fixture(scope="module", params=models.SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def clients(loader: Loader, service: str) -> Iterator[Any]:
    session = botocore.session.Session()
    session.register_component("data_loader", loader)
    for region in REGIONS:
        yield session.create_client(service, region, aws_access_key_id="nobody", aws_secret_access_key="nothing")


def calls(client: Any) -> dict[str, Any]:
    """Where a client sends a request and how it signs it, and every call with its parameters' names."""
    model, signer = client.meta.service_model, client._request_signer
    shapes = {name: client.meta.service_model.operation_model(name).input_shape for name in model.operation_names}
    return {
        "": (client.meta.endpoint_url, client.meta.partition, signer.region_name, signer.signing_name),
        **{name: sorted(shape.members) if shape else None for name, shape in shapes.items()},
    }


@pytest.mark.thorough
def test_a_client_calls_what_it_would_call_with_botocores_own(shipped: models.Models, service: str) -> None:
    ours, theirs = ([*map(calls, clients(loader, service))] for loader in (shipped, Loader()))
    assert ours == theirs


def test_nothing_is_missing_but_documentation(shipped: models.Models, service: str) -> None:
    version = shipped.determine_latest_version(service, "service-2")
    ours, theirs = (loader.load_data(f"{service}/{version}/service-2") for loader in (shipped, Loader()))
    texts: list[str] = []

    def less(whole: Any, part: Any) -> None:
        if isinstance(whole, dict):
            texts.extend(whole[key] for key in whole.keys() - part.keys())
            assert {key for key in whole if key not in part} <= {"documentation"}
            for key in part:
                less(whole[key], part[key])
        elif isinstance(whole, list):
            for one, other in zip(whole, part, strict=True):
                less(one, other)
        else:
            assert whole == part

    less(theirs, ours)
    assert all(isinstance(text, str) for text in texts)
    assert sum(map(len, texts)) > 50_000


def test_what_is_not_in_the_zip_is_botocores(tmp_path: Path) -> None:
    """So it is in a checkout, and for whatever a later botocore asks for."""
    none = models.Models(tmp_path / "none")
    assert none.load_service_model("stepfunctions", "service-2") == Loader().load_service_model(
        "stepfunctions", "service-2"
    )
    assert not (ROOT / models.DIRECTORY.name).exists()


def test_the_policies_allow_nothing_of_a_service_without_a_model(shipped: models.Models) -> None:
    """So no client is wanted that can't be made; logs are Lambda's own to write."""
    statements = [
        statement
        for file in (ROOT / ".chalice").glob("policy-*.json")
        for statement in json.loads(file.read_text(encoding="utf-8"))["Statement"]
    ]
    actions = [a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])]
    endpoints = shipped.load_data("endpoints")["partitions"][0]["services"]
    assert {action.partition(":")[0] for action in actions} == {*endpoints, "logs"}
