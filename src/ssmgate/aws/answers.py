"""Answers of STS and IAM that may be used again for seconds: by whom, and for what exactly."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ssmgate import __version__
from ssmgate.aws import AWSCLI_VERSION
from ssmgate.aws.arguments import Invocation
from ssmgate.aws.clients import Clients
from ssmgate.core import kept as texts
from ssmgate.core.decision import Look, Permit
from ssmgate.core.kept import Kept, fingerprint
from ssmgate.core.question import Caller
from ssmgate.host import answers as host
from ssmgate.host.config import Config

# Besides AWS_… and …_proxy: what decides where STS and IAM are, and who is believed to be them.
_VARIABLES = ("HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Answers:
    """What was answered to one question, and who asked it.

    Only a permit of the first look is kept, and who the caller is; never a no, nor what could
    not be told. `tell` takes a line for stderr.
    """

    def __init__(
        self,
        invocation: Invocation,
        clients: Clients,
        config: Config,
        environ: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        parts = _depends_on(invocation, clients, config, environ)
        self._expires_at = clients.credentials.expires_at
        self._ttl = config.cache_ttl
        self._identity = fingerprint({**parts, "kind": "identity"})
        self._permit = fingerprint(
            {**parts, "kind": "permit", "document": invocation.request.document_name}
        )
        self._folder = host.Folder(environ["HOME"], tell)

    def permit(self) -> Kept | None:
        """The caller, the questions that were asked and allowed, and the answers."""
        found = self._read(self._permit)
        return found if found and found.questions else None

    def caller(self) -> Caller | None:
        """Who the credentials belong to."""
        found = self._read(self._identity)
        return found.caller if found else None

    @contextlib.contextmanager
    def turn(self) -> Iterator[host.Turn]:
        """Of many that ask the same at once, one asks and the others wait for it."""
        with self._folder.turn(self._permit) as turn:
            yield turn

    def keep(self, caller: Caller | None, look: Look, first: Any) -> bool:
        """Keep what may be kept of `look`. Whether that includes a permit.

        `first` are the questions that were asked first: an answer to better founded ones, with
        tags, is not kept.
        """
        if caller is None:
            return False
        self._write(self._identity, Kept(caller))
        if not isinstance(look.outcome, Permit) or look.questions != first:
            return False
        self._write(self._permit, Kept(caller, look.questions, look.evaluations, look.controls))
        return True

    def _read(self, name: str) -> Kept | None:
        now = host.now()
        if self._expires_at is not None and now.wall >= self._expires_at:
            return None
        text = self._folder.read(name)
        return None if text is None else texts.read(text, name, now, self._ttl)

    def _write(self, name: str, found: Kept) -> None:
        self._folder.keep(name, texts.write(found, name, host.now()))


def opened(
    invocation: Invocation,
    clients: Clients,
    config: Config,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
) -> Answers | None:
    """The answers for this start, None where none are kept.

    Nothing is where the system's configuration locks anything: there the user's own folder is
    not to be believed.
    """
    if config.locked or not config.cache_ttl or not os.path.isabs(environ.get("HOME", "")):
        return None
    return Answers(invocation, clients, config, environ, tell)


def _depends_on(
    invocation: Invocation, clients: Clients, config: Config, environ: Mapping[str, str]
) -> dict[str, object]:
    """Everything but the document that decides who is asked, by whom, and what.

    The endpoints of STS and IAM are in it as all that they are made of: the whole AWS
    configuration, every AWS_… variable, the region, and the release of awscli. To ask the
    clients themselves they would have to be made.
    """
    options, credentials = invocation.options, clients.credentials
    variables = {
        name: text
        for name, text in environ.items()
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name in _VARIABLES
    }
    return {
        "versions": [__version__, AWSCLI_VERSION],
        "user": [os.getuid(), os.geteuid()],
        "credentials": credentials.for_client(),
        "place": [clients.partition, clients.region, clients.ssm.meta.endpoint_url],
        "options": [options.region, options.profile, options.endpoint_url, options.verify],
        "mfa": invocation.mfa.done,
        "configuration": repr(config),
        "aws configuration": invocation.session.full_config,
        "variables": variables,
    }
