"""The session cookie: who holds it, how long it lasts, and when it is Secure."""

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import UserMixin
from itsdangerous import BadSignature

from exporter.model import User, utc_now


class SessionUser(UserMixin):  # type: ignore[misc]
    """flask-login's view of a user. Its id holds the session key: a changed key ends every session."""

    def __init__(self, user: User) -> None:
        self.user = user

    def get_id(self) -> str:
        return f"{self.user.id}|{self.user.session_key}"


class SessionInterface(SecureCookieSessionInterface):
    """Marks the cookie Secure exactly when the request came over https, and bears with a clock that is set back."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie unless it is too old. One from the future is none of a forger's: its signature is ours."""
        serializer = self.get_signing_serializer(app)
        cookie = request.cookies.get(self.get_cookie_name(app))
        if serializer is None or not cookie:
            return self.session_class()
        try:
            values, signed_at = serializer.loads(cookie, return_timestamp=True)
        except BadSignature:
            return self.session_class()
        fresh = utc_now() - signed_at <= app.permanent_session_lifetime
        return self.session_class(values) if fresh else self.session_class()

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Let a part of a page renew nothing: its answer may come behind one that changed the session."""
        part = "HX-Request" in request.headers
        return bool(session.modified if part else super().should_set_cookie(app, session))

    def get_cookie_secure(self, app: Flask) -> bool:
        del app
        return request.is_secure
