"""Remote files through fsspec, which has a package for each kind of storage."""

import base64
import binascii
from pathlib import Path

from keras_dynamonet.data.remote_files import TIMEOUT_SECONDS, RemoteInfo
from keras_dynamonet.errors import MissingExtraError, UserError

# Statuses that say "later" rather than "no".
_PASSING_STATUSES = (408, 425, 429)


class FsspecFiles:
    """Reads through fsspec.

    Args:
        scheme: What stands before `://`.

    Raises:
        UserError: Nothing known reads such addresses, or a package is missing.
    """

    def __init__(self, scheme: str):
        try:
            import fsspec
        except ImportError:
            raise MissingExtraError(f"Reading {scheme}:// files", "remote") from None
        try:
            self._files = fsspec.filesystem(scheme, **_options(scheme))
        except (ImportError, OSError) as error:
            if scheme == "hdfs":
                raise UserError(
                    "hdfs:// files need `pip install pyarrow` and a Hadoop client: "
                    "libhdfs, JAVA_HOME and CLASSPATH."
                ) from error
            raise MissingExtraError(f"Reading {scheme}:// files", "remote") from error
        except ValueError as error:
            raise UserError(
                f"{scheme}:// addresses cannot be read. Use s3, gs, http, https or "
                "hdfs."
            ) from error
        package = type(self._files).__module__.partition(".")[0]
        self.name = "fsspec" if package == "fsspec" else f"fsspec ({package})"

    def info(self, path: str) -> RemoteInfo:
        """What the server says about a file."""
        info = self._files.info(path)
        names = ("ETag", "etag", "Last-Modified", "mtime")
        version = next((str(info[name]) for name in names if info.get(name)), None)
        return RemoteInfo(info.get("size"), _md5(info), version)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Some bytes of a file; fewer at its end."""
        content = self._files.cat_file(path, start=offset, end=offset + length)
        if len(content) > length:
            # A server that knows no ranges sends everything.
            content = content[offset : offset + length]
        return content

    def download(self, path: str, target: Path) -> None:
        """Copies a whole file."""
        self._files.get_file(path, str(target))

    def is_final(self, error: Exception) -> str | None:
        """Why it makes no sense to try again, or None if it does."""
        status = _http_status(error.__cause__ or error)
        if status is not None:
            if status == 404:
                return "no such file"
            final = 400 <= status < 500 and status not in _PASSING_STATUSES
            return f"the server refuses to give it (HTTP {status})" if final else None
        # fsspec calls whatever goes wrong over HTTP a missing file, with the cause.
        if isinstance(error, FileNotFoundError) and error.__cause__ is None:
            return "no such file"
        if isinstance(error, PermissionError):
            return "no permission to read it"
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
            return "no credentials for it were found"
        return None


def _options(scheme: str) -> dict:
    """Settings of a file system: no listings that go stale, and time limits."""
    if scheme in ("http", "https"):
        try:
            import aiohttp
        except ImportError:
            return {}  # fsspec says what is missing
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS
        )
        return {"client_kwargs": {"timeout": timeout}, "use_listings_cache": False}
    if scheme in ("s3", "s3a"):
        limits = {"connect_timeout": TIMEOUT_SECONDS, "read_timeout": TIMEOUT_SECONDS}
        # Attempts are counted in one place only.
        retries = {"mode": "standard", "max_attempts": 1}
        return {
            "config_kwargs": {**limits, "retries": retries},
            "use_listings_cache": False,
        }
    if scheme in ("gs", "gcs"):
        return {"requests_timeout": TIMEOUT_SECONDS, "use_listings_cache": False}
    return {}


def _http_status(error: BaseException) -> int | None:
    """The status in an error of aiohttp or gcsfs, or in one of botocore."""
    status = getattr(error, "status", None)
    if type(error).__name__ == "HttpError":  # of gcsfs
        status = error.code
    if isinstance(status, int):
        return status
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return None


def _md5(info: dict) -> str | None:
    """The MD5 of a file where the server tells one.

    The ETag of S3 is none for encrypted objects and those written in parts.
    """
    told = info.get("Content-MD5") or info.get("md5Hash")
    try:
        return base64.b64decode(told, validate=True).hex() if told else None
    except (binascii.Error, ValueError):
        return None
