"""One S3 object as a file that can be read and sought; a connection that drops is taken up where it was."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from keepalign.errors import ReadError
from keepalign.logs._aws_errors import Asked
from keepalign.logs.aws_options import AwsOptions
from keepalign.logs.session import partition, raw

if TYPE_CHECKING:
    from botocore.response import StreamingBody

_BUFFER: Final = 1 << 18
_RESUMES: Final = 4
"""Connections in a row that may end without a single byte."""


@dataclass(frozen=True, slots=True)
class S3Opener:
    """Opens one object; can be pickled. Reading raises ReadError, which names the object.

    Args:
        tag: the ETag of the listing: an object that was replaced since is not read on in the middle; empty:
            whatever is there now. size: in bytes, of the listing.
    """

    bucket: str
    key: str
    options: AwsOptions
    tag: str = ""
    size: int = 0

    def __call__(self) -> BinaryIO:
        """The object's bytes as they are stored. Raises: NoAccess, ReadError."""
        body = Body(self)
        body.connect()
        return io.BufferedReader(body, _BUFFER)


class Body(io.RawIOBase):
    """An object's bytes. Seeking costs one request at the next read."""

    def __init__(self, opener: S3Opener) -> None:
        super().__init__()
        self._of = opener
        self._at = 0
        self._stream: StreamingBody | None = None
        self._asked = Asked(
            "s3:GetObject",
            f"s3://{opener.bucket}/{opener.key}",
            f"arn:{partition(opener.options.region)}:s3:::{opener.bucket}/{opener.key}",
        )

    def connect(self) -> None:
        """Ask for the object from the present position on. Raises: NoAccess, ReadError."""
        wanted = {"Bucket": self._of.bucket, "Key": self._of.key}
        if self._at:
            wanted["Range"] = f"bytes={self._at}-"
        if self._of.tag:
            wanted["IfMatch"] = self._of.tag
        answer = raw("s3", "get_object", self._of.options, self._asked, **wanted)
        self._stream = cast("StreamingBody", answer["Body"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._of.size}[whence]
        to = max(base + offset, 0)
        if to != self._at:
            self._drop()
            self._at = to
        return self._at

    def readinto(self, buffer: object) -> int:
        from botocore.exceptions import BotoCoreError

        assert isinstance(buffer, (memoryview, bytearray))
        if self._at and self._at >= self._of.size:
            return 0
        fault: Exception | None = None
        for _ in range(_RESUMES):
            try:
                if self._stream is None:
                    self.connect()
                assert self._stream is not None
                data = self._stream.read(len(buffer))
            # What urllib3 and the sockets raise below it, too.
            except (BotoCoreError, OSError) as error:
                fault = error
                self._drop()
                continue
            if data or self._at >= self._of.size:
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            self._drop()
        text = f"the connection dropped at byte {self._at} of {self._of.size}, {_RESUMES} times in a row"
        raise ReadError(text, file=self._asked.place, hint="run it again") from fault

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
