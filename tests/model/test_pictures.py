"""Pictures: known by their bytes, fetched by whoever may, told in words when they cannot be shown."""

import base64
from typing import Any

import pytest

from loci.model.pictures import from_base64, from_data_url, recognised
from loci.net import Door
from loci.testing.fake_provider import Answer, Say, served
from loci.types.messages import Image, Role, Text
from tests.model.providers import PNG, WIRES, Wire, asking, message, request

YES = Answer(parts=[Say("A cat.")])
KINDS = {
    "image/png": b"\x89PNG\r\n\x1a\nrest",
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPrest",
    "image/heic": b"\x00\x00\x00\x18ftypheicrest",
}
UNSEEN = [
    Image("image/png", "%%%"),
    Image("image/png", base64.b64encode(b"no picture").decode()),
    Image("image/svg+xml", base64.b64encode(b"<svg/>").decode()),
    Image(url="data:image/png,plain"),
    Image(url="data:image/png;base64,%%%"),
    Image(url="ftp://a.example/b.png"),
    Image(url=""),
    Image(),
]


@pytest.mark.parametrize("media_type", KINDS)
def test_a_picture_is_known_by_its_bytes(media_type: str):
    picture = recognised(KINDS[media_type])

    assert picture is not None
    assert picture.media_type == media_type
    assert from_base64(base64.b64encode(KINDS[media_type]).decode()) == picture


@pytest.mark.parametrize("url", ["data:", "data:,", "data:image/png,x", "data:image/png;base64", "data:;base64,%"])
def test_a_broken_data_address_is_no_picture(url: str):
    assert from_data_url(url) is None


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return request.param


async def _shown(wire: Wire, image: Image, **options: Any) -> Any:
    """What is sent for the picture."""
    async with asking(wire, YES, **options) as asked:
        await asked.answer(request(message(Role.USER, Text("What is this?"), image)))
        sent = asked.sent
    match wire:
        case "anthropic":
            return sent["messages"][0]["content"][1]
        case "responses":
            return sent["input"][0]["content"][1]
        case "google":
            return sent["contents"][0]["parts"][1]


@pytest.mark.parametrize("image", UNSEEN)
async def test_a_picture_that_cannot_be_shown_is_told_in_words(wire: Wire, image: Image):
    shown = await _shown(wire, image)

    assert shown["text"].startswith("[A picture that cannot be shown: ")


async def test_a_model_without_eyes_is_told_so(wire: Wire):
    shown = await _shown(wire, Image("image/png", PNG), supports_images=False)

    assert shown["text"] == "[A picture that cannot be shown: this model sees no pictures.]"


async def test_a_picture_goes_under_its_true_name(wire: Wire):
    shown = await _shown(wire, Image("image/png", base64.b64encode(KINDS["image/jpeg"]).decode()))

    assert "image/jpeg" in str(shown)
    assert "image/png" not in str(shown)


async def test_a_kind_that_the_provider_does_not_know_is_told_in_words(wire: Wire):
    heic = await _shown(wire, Image("image/heic", base64.b64encode(KINDS["image/heic"]).decode()))

    assert ("cannot see image/heic" in str(heic)) is (wire != "google")


@pytest.mark.parametrize("url", ["https://a.example/b.png", "http://a.example/b.png"])
async def test_only_an_address_that_the_provider_fetches_is_left_to_it(wire: Wire, url: str):
    left = {"anthropic": url.startswith("https:"), "responses": True, "google": False}
    shown = await _shown(wire, Image(url=url), door=Door(ports=frozenset()))

    assert (url in str(shown)) is left[wire]
    assert ("cannot be shown: Port" in str(shown)) is not left[wire]


async def test_a_picture_from_inside_is_not_fetched():
    asked_paths: list[str] = []

    async def answer(scope, receive, send):
        asked_paths.append(scope["path"])

    async with served(answer) as url:
        shown = await _shown("google", Image(url=f"{url}/a.png"))

    assert "cannot be shown" in shown["text"]
    assert not asked_paths
