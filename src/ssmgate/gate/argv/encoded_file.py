"""Read a file:// value in the encoding of AWS_CLI_FILE_ENCODING, as AWS CLI v2 does."""

from __future__ import annotations

import io

from awscli.paramfile import ResourceLoadingError, get_file


def read(prefix: str, path: str, encoding: str) -> str:
    """Return the text of the file `path`, which begins with `prefix`.

    Raises awscli's `ResourceLoadingError` if the file is not in `encoding`, `LookupError` if Python
    has no such encoding.
    """
    try:
        text: bytes = get_file(prefix, path, "rb")
        return io.TextIOWrapper(io.BytesIO(text), encoding=encoding).read()
    except UnicodeDecodeError as error:
        raise ResourceLoadingError(
            f"Unable to load paramfile ({path.removeprefix(prefix)}), text contents could not be"
            " decoded.  If this is a binary file, please use the fileb:// prefix instead of the"
            " file:// prefix."
        ) from error
