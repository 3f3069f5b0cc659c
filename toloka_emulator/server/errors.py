"""Errors in the form in which Toloka answers them."""

from __future__ import annotations

import http
import uuid
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# toloka-kit 1.2.3, error_codes.py; a status that is not here goes by its name in HTTP.
CODES = {
    **{status.value: status.name for status in http.HTTPStatus},
    400: "VALIDATION_ERROR",
    401: "AUTHENTICATION_ERROR",
    403: "ACCESS_DENIED",
    404: "DOES_NOT_EXIST",
    409: "CONFLICT_STATE",
    410: "RESULTS_EXPIRED",
    500: "INTERNAL_ERROR",
    503: "REMOTE_SERVICE_UNAVAILABLE",
}


class ApiError(Exception):
    """A request that Toloka refuses.

    Args:
        status: The HTTP status of the answer.
        message: What is wrong, for a person.
        payload: More on it; of a VALIDATION_ERROR, `{field: {"code", "message"}}`.
        code: The code, if it is not the usual one of the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        payload: Mapping[str, object] | None = None,
        *,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        error = {
            "request_id": str(uuid.uuid4()),
            "code": code or CODES.get(status, "UNKNOWN"),
            "message": message,
        }
        self.status = status
        # openapi: "HTTP status codes".
        self.body = msgspec.json.encode({**error, "payload": payload} if payload else error)
