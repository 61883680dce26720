"""Build every question to IAM, so that all parts of ssmgate simulate the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import LONG_TERM, Caller, ContextEntry, Question

if TYPE_CHECKING:
    from ssmgate.gate.argv.parse import Invocation
    from ssmgate.gate.aws.clients import Clients
    from ssmgate.gate.config.load import Config

DATA_CHANNEL_ACTION = "ssmmessages:OpenDataChannel"
"""What session-manager-plugin 1.2.764.0 and later calls with the caller's credentials.

https://docs.aws.amazon.com/systems-manager/latest/userguide/plugin-version-history.html
"""


@frozen
class QuestionBuilder:
    """Builds the questions about one caller, for one region and one configuration.

    `partition` and `region` are those that StartSession is sent to; `secure_transport`: whether it
    is sent over TLS. `mfa_done`: whether this process prompted for an MFA code to get the
    caller's credentials. `configured` are the entries of the configuration's `[context]`.
    `credentials` are those of `Question`.
    """

    caller: Caller
    partition: str
    region: str
    secure_transport: bool
    mfa_done: bool
    configured: tuple[ContextEntry, ...] = ()
    credentials: str = ""

    @classmethod
    def live(
        cls, caller: Caller, invocation: Invocation, clients: Clients, config: Config
    ) -> QuestionBuilder:
        """Return the builder for a session that `invocation` would start with `clients`."""
        return cls(
            caller,
            clients.partition,
            clients.region,
            clients.secure_transport,
            invocation.mfa.done,
            config.context,
            "" if clients.credentials.session_token else LONG_TERM,
        )

    def documents(self, document_name: str | None) -> tuple[Question, ...]:
        """Return a question for each document that `document_name` may mean, at least one.

        `document_name` is a name, a complete document ARN, or None for the default document.
        Raises `InvalidRequest` for anything else.
        """
        arns = document_arns(
            document_name,
            partition=self.partition,
            region=self.region,
            account=self.caller.account,
        )
        return tuple(self._about(arn) for arn in arns)

    def target(self, target: str, *, document_access_check: bool | None = True) -> Question | None:
        """Return the question about `target`, None for a kind of target that IAM does not list.

        `document_access_check` is the value of ssm:SessionDocumentAccessCheck, None if absent.
        """
        # Imported only here, as a start asks about documents.
        from ssmgate.gate.decision.target import target_arn

        arn = target_arn(
            target, partition=self.partition, region=self.region, account=self.caller.account
        )
        return None if arn is None else self._about(arn, document_access_check)

    def data_channel(self) -> Question:
        """Return the question whether the caller may open a session's data channel."""
        return self._about("*", None, action=DATA_CHANNEL_ACTION)

    def _about(self, resource_arn: str, check: bool | None = True, **action: str) -> Question:
        return Question.about(
            self.caller,
            resource_arn,
            region=self.region,
            secure_transport=self.secure_transport,
            mfa_done=self.mfa_done,
            configured=self.configured,
            document_access_check=check,
            credentials=self.credentials,
            **action,
        )
