"""Who somebody is: users, passwords, sessions and API tokens."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from exporter.errors import (
    Invalid,
    LastAdmin,
    NameTaken,
    TokenNotFound,
    TooManyLogins,
    UserNotFound,
    WrongCredentials,
)
from exporter.model import Role, Token, User
from exporter.naming import check_name
from exporter.storage import secrets
from exporter.storage.logins import LoginFailureStore
from exporter.storage.users import TokenStore, UserStore

FREE_TRIES = 5  # of one account
FREE_TRIES_OF_ADDRESS = 20  # a whole office may share one
LONGEST_DELAY_SECONDS = 60.0
FORGET_AFTER = timedelta(minutes=15)
SETTING_UP = " the first admin"  # stands for the account in the throttle; no name begins with a space
NETWORK_BITS = 64  # of IPv6: what one customer is given, to choose addresses from


class LoginThrottle:
    """Delays log-ins after failures, per account and per address: growing, never for good.

    The first failures cost nothing; then each doubles the wait, up to LONGEST_DELAY_SECONDS. A success forgives the
    account, not the address: who owns one account may still be guessing at others.
    """

    def __init__(self, store: LoginFailureStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def begin(self, username: str, address: str) -> None:
        """Count a try as failed until it succeeds.

        Raises TooManyLogins, whose fact `repeated` says that it is not the first time in this wait.
        """
        now = self._clock()

        def delay(name: str, failures: int, last: datetime) -> float:
            free = FREE_TRIES if name.startswith("user:") else FREE_TRIES_OF_ADDRESS
            return waiting_time(failures - free, (now - last).total_seconds())

        names = (f"user:{username}", f"address:{network_of(address)}")
        seen = self._store.admit(names, delay, now=now, forget=now - FORGET_AFTER)
        if seen.wait > 0:
            raise TooManyLogins(retry_after=int(seen.wait) + 1, repeated=not seen.first)

    def succeeded(self, username: str, address: str) -> None:
        self._store.forget(f"user:{username}")
        self._store.take_back(f"address:{network_of(address)}")


def waiting_time(over: int, elapsed: float) -> float:
    """Give the seconds left, `elapsed` after the last of `over` failures too many; a clock set back ends the wait."""
    if over < 0 or elapsed < 0:
        return 0.0
    return min(2.0 ** min(over, 10), LONGEST_DELAY_SECONDS) - elapsed


def network_of(address: str) -> str:
    """Give what stands for a client: an IPv4 address, the network of an IPv6 one, or else the text as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 6:  # noqa: PLR2004 - IPv6
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, NETWORK_BITS), strict=False))
    return str(found)


class AccountService:
    def __init__(
        self,
        users: UserStore,
        tokens: TokenStore,
        throttle: LoginThrottle,
        clock: Callable[[], datetime],
        *,
        setup_code: str,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._throttle = throttle
        self._clock = clock
        self._setup_code = setup_code
        self._setting_up = threading.Lock()

    def needs_admin(self) -> bool:
        """Say whether the server is so new that nobody can sign in."""
        return not self._users.all()

    def create_first_admin(self, username: str, password: str, *, code: str, address: str) -> User:
        """Create the admin of a new server for whoever can read its log. Raises Invalid or TooManyLogins."""
        self._throttle.begin(SETTING_UP, address)
        with self._setting_up:
            if not self.needs_admin():
                raise Invalid({"code": "This server has a user already. Sign in instead."})
            if not secrets.same(code.strip().upper(), self._setup_code):
                raise Invalid({"code": "This is not the code that the server printed when it started"})
            try:
                user = self.create_user(username, password, role=Role.ADMIN)
            except NameTaken as exc:  # another process was a moment earlier
                raise Invalid({"username": exc.message}) from exc
        self._throttle.succeeded(SETTING_UP, address)
        return user

    def create_user(self, username: str, password: str, *, role: Role) -> User:
        """Raise Invalid or NameTaken."""
        check_name("username", username)
        _check_password(password)
        digest = secrets.hash_password(password)
        return self._users.create(username, role=role, password_hash=digest, now=self._clock())

    def users(self) -> list[User]:
        return self._users.all()

    def known(self, username: str) -> User | None:
        return self._users.named(username)

    def usernames(self, user_ids: set[str], *, asking: User) -> Mapping[str, str]:
        """Give the names of users by their ids; whoever asks only about himself costs no query."""
        own = {asking.id: asking.username}
        return own if user_ids <= own.keys() else own | self._users.usernames(user_ids)

    def user_named(self, username: str) -> User:
        user = self.known(username)
        if user is None:
            raise UserNotFound(f"There is no user named {username!r}")
        return user

    def user_of(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    def only_admin(self) -> User | None:
        """Give the admin whom a command acts for when it names nobody: the only active one."""
        admins = self._admins()
        return admins[0] if len(admins) == 1 else None

    def _admins(self) -> list[User]:
        return [user for user in self._users.all() if user.is_admin and user.is_active]

    def enable(self, user: User) -> None:
        self._users.set_active(user.id, active=True)

    def set_password(self, user: User, password: str) -> None:
        """Change the password and end all sessions of the user. Raises Invalid."""
        _check_password(password)
        self._users.set_password_hash(user.id, secrets.hash_password(password))
        self._users.end_sessions(user.id)

    def change_password(self, user: User, *, old: str, new: str, address: str) -> User:
        """Change one's own password and end the other sessions. Raises WrongCredentials, TooManyLogins or Invalid."""
        _check_password(new)
        self.log_in(user.username, old, address=address)
        self.set_password(user, new)
        return self.user_named(user.username)

    def set_role(self, user: User, role: Role) -> None:
        """Raise LastAdmin."""
        if role is not Role.ADMIN:
            self._check_another_admin(user)
        self._users.set_role(user.id, role)

    def disable(self, user: User) -> None:
        """Keep the user out and end all sessions. Raises LastAdmin."""
        self._check_another_admin(user)
        self._users.set_active(user.id, active=False)
        self._users.end_sessions(user.id)

    def _check_another_admin(self, user: User) -> None:
        if user.is_admin and not any(each.id != user.id for each in self._admins()):
            raise LastAdmin

    def log_in(self, username: str, password: str, *, address: str) -> User:
        """Raise WrongCredentials, whatever exactly was wrong, or TooManyLogins."""
        self._throttle.begin(username, address)
        user = self._users.named(username)
        kept = self._users.password_hash(user.id) if user is not None else None
        short_enough = len(password) <= secrets.MAX_PASSWORD_CHARACTERS
        right = secrets.verify_password(kept, password if short_enough else "") and short_enough
        if user is None or kept is None or not right or not user.is_active:
            raise WrongCredentials
        self._throttle.succeeded(username, address)
        if secrets.needs_rehash(kept):
            self._users.set_password_hash(user.id, secrets.hash_password(password))
        return user

    def log_out(self, user: User) -> None:
        """End all sessions of the user."""
        self._users.end_sessions(user.id)

    def of_session(self, user_id: str, session_key: str) -> User | None:
        user = self._users.get(user_id)
        return user if user is not None and user.is_active and user.session_key == session_key else None

    def of_token(self, secret: str) -> User | None:
        """Give the user of a token that is neither unknown nor expired nor revoked."""
        found = self._tokens.bearer(secrets.token_digest(secret))
        if found is None:
            return None
        token, user = found
        now = self._clock()
        if not user.is_active or (token.expires_at is not None and token.expires_at <= now):
            return None
        self._tokens.note_use(token, now=now)
        return user

    def create_token(self, user: User, *, name: str, expires_in_days: int | None) -> tuple[Token, str]:
        """Make a token; its secret is in the answer and nowhere else. Raises Invalid."""
        check_name("name", name)
        secret = secrets.new_token()
        now = self._clock()
        expires_at = now + timedelta(days=expires_in_days) if expires_in_days else None
        digest = secrets.token_digest(secret)
        return self._tokens.create(user, name=name, digest=digest, expires_at=expires_at, now=now), secret

    def tokens(self, user: User | None) -> list[Token]:
        """List a user's tokens, or everybody's (None)."""
        return self._tokens.all(user_id=user.id if user is not None else None)

    def revoke_token(self, token_id: str, *, user: User | None) -> Token:
        """Give what it was. Raises TokenNotFound, also for somebody else's (`user` None: an admin's command)."""
        token = self._tokens.get(token_id)
        if token is None or (user is not None and not user.is_admin and token.user_id != user.id):
            raise TokenNotFound
        self._tokens.delete(token_id)
        return token


def _check_password(password: str) -> None:
    if not 1 <= len(password) <= secrets.MAX_PASSWORD_CHARACTERS:
        raise Invalid({"password": f"Must be 1 to {secrets.MAX_PASSWORD_CHARACTERS} characters"})
