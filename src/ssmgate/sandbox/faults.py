"""The errors that the sandbox returns, with AWS's codes and messages."""

from __future__ import annotations


class ServiceFault(Exception):
    """An error response: AWS's `code` and `message`, and the HTTP `status`."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class InvalidKey(ServiceFault):
    """The access key belongs to the account, but is deleted, inactive or without its owner."""

    def __init__(self) -> None:
        super().__init__(
            "InvalidClientTokenId", "The security token included in the request is invalid.", 403
        )

    def for_service(self, service: str) -> ServiceFault:
        """Return the fault with the code and message of `service`.

        https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
        """
        if service == "ssm":
            return ServiceFault("UnrecognizedClientException", self.message)
        if service == "ec2":
            return ServiceFault(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                401,
            )
        return self
