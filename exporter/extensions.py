"""The Flask extensions, made unbound; `create_app` binds them."""

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from exporter.storage.tables import Base

db = SQLAlchemy(metadata=Base.metadata)
login_manager = LoginManager()
migrate = Migrate(render_as_batch=True, compare_type=True)
