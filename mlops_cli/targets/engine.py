"""The Docker engine: finding it, its errors in one line, base images, building, pushing, removing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import IO, Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound
from docker.utils import parse_repository_tag

from mlops_cli.errors import Outside
from mlops_cli.targets import platforms
from mlops_cli.targets.platforms import Platform

_SECONDS = 300  # of silence that the engine may take over one call
_START = "start Docker, or set DOCKER_HOST; --dry-run writes the build context without an engine"


@contextlib.contextmanager
def connect() -> Iterator[Any]:
    """A client of the engine that DOCKER_HOST, or else Docker's current context, names; Outside when none answers."""
    address = _address()
    try:
        client = docker.DockerClient(address, timeout=_SECONDS) if address else docker.from_env(timeout=_SECONDS)
    except (DockerException, requests.RequestException, OSError, ValueError) as error:
        raise Outside(f"no Docker engine answers: {_reason(error)}", _START) from None
    try:
        with failures("Docker"):
            client.ping()
        yield client
    finally:
        client.close()


def _address() -> str | None:
    """Where Docker's current context says the engine is; None for the usual place or DOCKER_HOST."""
    if os.environ.get("DOCKER_HOST"):
        return None
    with contextlib.suppress(Exception):  # no or a broken configuration of the docker command: the usual place
        context = docker.ContextAPI.get_current_context()
        return None if context is None or context.Name == "default" else str(context.Host)
    return None


@contextlib.contextmanager
def failures(doing: str) -> Iterator[None]:
    """Turn what the engine or the way to it reports into Outside."""
    try:
        yield
    except (DockerException, requests.RequestException, OSError) as error:
        raise Outside(f"{doing}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What the engine itself said, where it said something."""
    return str(getattr(error, "explanation", None) or error)


def base_image(client: Any, base: str, note: Callable[[str], None]) -> Any:
    """The base image, pulled when it is not here; Outside when it cannot be had."""
    try:
        with failures(f"the base image {base}"):
            return client.images.get(base)
    except Outside:
        note(f"pulling {base}")
    try:
        return client.images.pull(base)
    except (DockerException, requests.RequestException, OSError) as error:
        reason = _reason(error)
    raise Outside(
        f"the base image {base} is not here and cannot be pulled: {reason}",
        "--base IMAGE takes one that is here (docker images), with Python 3.11 or newer",
    )


def probe(client: Any, image: Any, base: str) -> Platform:
    """Ask the base image's own Python what it is."""
    try:
        printed = client.containers.run(
            image.id, entrypoint=["python3", "-c", platforms.PROBE], network_mode="none", remove=True, stderr=False
        )
    except (DockerException, requests.RequestException, OSError) as error:
        raise Outside(
            f"the base image {base} cannot run python3: {_reason(error)}", "name another with --base"
        ) from None
    return platforms.decode(printed, base)


def digest(image: Any) -> str | None:
    """The registry's digest of an image; None for one that never came from or went to a registry."""
    for name in image.attrs.get("RepoDigests") or []:
        return str(name.partition("@")[2])
    return None


def build(client: Any, tar: IO[bytes], progress: Callable[[str, float, float | None], None]) -> Any:
    """Build an image from a context, without network; Outside with the engine's own words when it fails."""
    found = ""
    with failures("docker build"):
        events = client.api.build(
            fileobj=tar, custom_context=True, rm=True, forcerm=True, decode=True, network_mode="none", pull=False
        )
        for event in events:
            if "error" in event:
                raise Outside(f"docker build failed: {event['error']}")
            found = (event.get("aux") or {}).get("ID") or found
            step, _, _ = event.get("stream", "").partition(" : ")
            if step.startswith("Step ") and "/" in step:
                done, _, total = step[len("Step ") :].partition("/")
                progress("build", int(done), int(total))
        if not found:
            raise Outside("docker build ended without an image")
        return client.images.get(found)


def tag(image: Any, name: str) -> None:
    """Give an image its name."""
    repository, version = parse_repository_tag(name)
    with failures(f"docker tag {name}"):
        image.tag(repository, version or "latest")


def push(client: Any, name: str) -> str:
    """Push a tagged image; the registry's digest of it."""
    repository, version = parse_repository_tag(name)
    found = ""
    with failures(f"docker push {name}"):
        for event in client.api.push(repository, tag=version or "latest", stream=True, decode=True):
            if "error" in event:
                raise Outside(
                    f"docker push {name}: {event['error']}", f"the image is here; docker push {name} tries again"
                )
            found = (event.get("aux") or {}).get("Digest") or found
    return found


def discard(client: Any, image: Any) -> None:
    """Remove an image that came to nothing, unless it is one that had a name before."""
    with contextlib.suppress(ImageNotFound, Outside), failures("docker rmi"):
        if not client.images.get(image.id).tags:
            client.images.remove(image.id)
