"""The images of the containers: DescribeImages, once a repository of ECR. What is elsewhere is not asked."""

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from chalicelib.values import dataclass
from guardctl.verifying.account import Account
from guardctl.verifying.definitions import Definition
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip

_ECR = re.compile(
    r"(?P<registry>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<name>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_A_CALL = 100
"""DescribeImages: imageIds, up to 100."""

_SIDE_BY_SIDE = 8


class Repository(NamedTuple):
    registry: str
    region: str
    name: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image in ECR. A digest says which one it is, whatever tag stands before it."""

    repository: Repository
    tag: str | None
    digest: str | None

    @property
    def identity(self) -> dict[str, str]:
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}

    @property
    def reference(self) -> str:
        """What stands after the repository's name."""
        return self.digest or self.tag or "latest"


Images = Mapping[Image, bool | Unread]
"""Whether it is there."""


def image_of(written: str) -> Image | None:
    """The image in ECR that a container definition names; None for one elsewhere."""
    match = _ECR.fullmatch(written)
    if match is None:
        return None
    return Image(Repository(match["registry"], match["region"], match["name"]), match["tag"], match["digest"])


def read(account: Account, definitions: Iterable[Definition]) -> Images:
    by_repository: dict[Repository, set[Image]] = {}
    for definition in definitions:
        for container in definition.get("containerDefinitions", ()):
            if image := image_of(container.get("image", "")):
                by_repository.setdefault(image.repository, set()).add(image)
    found: dict[Image, bool | Unread] = {}
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for each in pool.map(lambda pair: _of_repository(account, *pair), sorted(by_repository.items(), key=str)):
            found.update(each)
    return found


def _of_repository(account: Account, repository: Repository, images: set[Image]) -> dict[Image, bool | Unread]:
    """ECR refuses the whole call for one image that is missing, and names it: so the others are asked for again."""
    found: dict[Image, bool | Unread] = {}
    left = sorted(images, key=lambda image: image.reference)
    while left:
        asked = left[:_A_CALL]
        answer = account.call(
            "ecr",
            "describe_images",
            "imageDetails",
            region=repository.region,
            missing=("RepositoryNotFoundException",),
            registryId=repository.registry,
            repositoryName=repository.name,
            imageIds=[image.identity for image in asked],
        )
        if answer is None:
            return dict.fromkeys(images, False)
        if isinstance(answer, Unread):
            refused = asked if "ImageNotFoundException" in answer.reason else []
            missing = [image for image in refused if f"'{image.reference}'" in answer.reason or len(asked) == 1]
            if not missing:
                return found | dict.fromkeys(left, answer)
            found |= dict.fromkeys(missing, False)
            left = [image for image in left if image not in missing]
        else:
            there = {name for detail in answer for name in (detail.get("imageDigest"), *detail.get("imageTags", ()))}
            found |= {image: image.reference in there for image in asked}
            left = left[_A_CALL:]
    return found


def judge(definition: Definition, images: Images) -> Iterator[Finding]:
    """Whether the images of a task definition are there."""
    for written in dict.fromkeys(each.get("image", "") for each in definition.get("containerDefinitions", ())):
        image = image_of(written)
        if image is None:
            yield skip(f"image {written}", "is not in ECR, and only ECR is asked")
            continue
        what = f"image {image.repository.name}{'@' if image.digest else ':'}{image.reference}"
        found = images[image]
        if isinstance(found, Unread):
            yield skip(what, found.reason)
        elif found:
            yield ok(what, "in its repository")
        else:
            registry = f"{image.repository.registry} in {image.repository.region}"
            yield ng(what, f"is not in the registry of {registry}: no task can be started with it")
