"""Who calls."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import jwt
from fastapi import HTTPException, Request

MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request."""

    subject: str
    account_id: str
    roles: tuple[str, ...]
    expires: float


class Authenticator:
    """Verifies tokens; one that was good is good until it expires."""

    def __init__(self, config: dict) -> None:
        keys = json.loads(Path(config["jwks"]).read_text())["keys"]
        self._keys = {key["kid"]: jwt.PyJWK(key).key for key in keys}
        self._issuer, self._audience = config["issuer"], config["audience"]
        self._known: dict[str, Principal] = {}

    async def caller(self, request: Request) -> Principal:
        """The caller, if its token is good and has a role that may do this."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise HTTPException(401, "no token")
        known = self._known.get(token)
        if known is None or known.expires <= time.time():
            known = self._verify(token)
        if not {"admin", "user"} & set(known.roles):
            raise HTTPException(403, "this needs the role admin or user")
        return known

    def _verify(self, token: str) -> Principal:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            principal = Principal(claims["sub"], claims["account_id"], tuple(claims["roles"]), claims["exp"])
        except (jwt.PyJWTError, KeyError) as error:
            raise HTTPException(401, "the token is refused") from error
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[token] = principal
        return principal
