"""Finds strategies: built in, in the person's own folder, or in a file named by path; all loaded the same way.

One file holds one strategy. A named strategy that cannot be loaded is an error; a scan only notes what it passed over.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.errors import ConfigurationError, NotFoundError, StrategyLoadError
from engine.strategy.contract import Strategy, StrategyBase, StrategyMemory, StrategyParams, StrategyType
from engine.strategy.faults import THEIR_FAULTS, cause_text, line_in
from engine.strategy.params import ParamValue
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["BUILT_IN_PACKAGE", "LoadedStrategy", "StrategyRegistry", "is_path", "read_strategy_file"]

BUILT_IN_PACKAGE = "strategies"
"""Named, not imported: the engine does not depend on any strategy."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")

_HOOKS = ("on_book", "on_trade", "on_bar", "on_timer")
"""What lets an event strategy do something at all."""

Origin = Literal["built-in", "folder", "file"]


class LoadedStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy ready to be built, and where it came from."""

    name: str
    version: str
    kind: StrategyType
    cls: type[StrategyBase]
    origin: Origin
    path: str
    """Absolute path of its file."""
    source_hash: str
    """Sixteen hexadecimal digits of the SHA-256 of the very source that was loaded."""
    summary: str
    """First line of its docstring."""
    source: bytes = b""
    """The very source that was loaded."""
    defaults: dict[str, ParamValue] = {}
    """Values that take the place of declared defaults here; see `StrategyRegistry.set_defaults`."""

    @property
    def on_events(self) -> bool:
        """Whether it decides on books, trades and orders instead of on bars alone."""
        return issubclass(self.cls, EventStrategy)

    def build(self, values: Mapping[str, object] | None = None) -> Strategy:
        """Make an instance of a strategy that decides on bars from plain values; what is not given has its default.

        Raises:
            ConfigurationError: A value is unknown, of the wrong type or out of bounds, or it decides on events.
        """
        if not issubclass(self.cls, Strategy):
            raise ConfigurationError(
                f"The strategy {self.name} decides on books and not on bars alone; name its markets, as in "
                "--market SIM:BTC/USDT."
            )
        strategy = self.cls.build({**self.defaults, **(values or {})})
        strategy.source_hash = self.source_hash
        return strategy

    def build_event(self, values: Mapping[str, object] | None = None) -> EventStrategy:
        """Make an instance of a strategy that decides on events from plain values; what is not given has its default.

        Raises:
            ConfigurationError: A value is unknown, of the wrong type or out of bounds, or it decides on bars.
        """
        if not issubclass(self.cls, EventStrategy):
            raise ConfigurationError(f"The strategy {self.name} decides on bars; it needs one market and a timeframe.")
        strategy = self.cls.build({**self.defaults, **(values or {})})
        strategy.source_hash = self.source_hash
        return strategy


class StrategyRegistry:
    """All strategies that can be named.

    Args:
        folder: The person's own strategies, one a `*.py` file; may not exist. Files that begin with `_` are left out.
        package: Dotted name of the package of the built-in ones, searched with its sub-packages.

    Attributes:
        warnings: What the last scan passed over and why, a sentence each.
    """

    def __init__(self, folder: Path | None = None, package: str = BUILT_IN_PACKAGE) -> None:
        self.warnings: list[str] = []
        self._folder = folder
        self._package = package
        self._found: dict[str, LoadedStrategy] = {}
        self._everywhere: Mapping[str, ParamValue] = {}
        self._own: Mapping[str, Mapping[str, ParamValue]] = {}
        self._broken: dict[str, StrategyLoadError] = {}
        self._scanned = False

    def set_defaults(
        self, everywhere: Mapping[str, ParamValue], own: Mapping[str, Mapping[str, ParamValue]] | None = None
    ) -> None:
        """Say which values parameters have that nobody gives, for every strategy that is built from now on.

        Args:
            everywhere: Of parameters that every strategy has; a strategy that declares its own default keeps it.
            own: Of one strategy's parameters, by its name; these win over what it declares.
        """
        self._everywhere, self._own = dict(everywhere), {name: dict(values) for name, values in (own or {}).items()}
        self._found = {name: self.with_defaults(loaded) for name, loaded in self._found.items()}

    def with_defaults(self, loaded: LoadedStrategy) -> LoadedStrategy:
        """The same strategy with the defaults in force here."""
        own = [
            cls for cls in loaded.cls.Params.__mro__ if issubclass(cls, StrategyParams) and cls is not StrategyParams
        ]
        declared = {name for cls in own for name in vars(cls).get("__annotations__", {})}
        values = {name: value for name, value in self._everywhere.items() if name not in declared}
        return msgspec.structs.replace(loaded, defaults={**values, **self._own.get(loaded.name, {})})

    def scan(self) -> list[str]:
        """Look again at the built-in package and the folder; returns the warnings."""
        named = {name: loaded for name, loaded in self._found.items() if loaded.origin == "file"}
        self._found, self._broken, self.warnings = {}, {}, []
        self._scanned = True
        for label, load in self._sources():
            try:
                loaded = load()
                if loaded is not None:
                    self._add(loaded)
            except StrategyLoadError as error:
                self._broken[label] = error
                self.warnings.append(error.message)
        for loaded in named.values():
            self._found.setdefault(loaded.name, loaded)
        return self.warnings

    def all(self) -> list[LoadedStrategy]:
        """Every strategy that loads, by name."""
        self._ensure_scanned()
        return [self._found[name] for name in sorted(self._found)]

    def get(self, name: str) -> LoadedStrategy:
        """The strategy of that name, or of that file where the text is a path (`path/to/file.py`).

        Raises:
            NotFoundError: There is none of that name; the nearest is named.
            StrategyLoadError: It exists and cannot be loaded; names file, line and cause.
        """
        self._ensure_scanned()
        if is_path(name):
            return self.load_file(Path(name))
        if name in self._found:
            return self._found[name]
        if name in self._broken:
            raise self._broken[name]
        near = difflib.get_close_matches(name, self._found, n=1, cutoff=0.5)
        known = ", ".join(sorted(self._found)) or "none"
        raise NotFoundError(
            f"There is no strategy named {name!r}"
            + (f"; did you mean {near[0]}?" if near else f" (there are: {known}).")
            + " A file of your own is named by its path, ending in .py."
        )

    def load_file(self, path: Path) -> LoadedStrategy:
        """Load the strategy of one file now, and keep it under its name; a file that has changed replaces it.

        Raises:
            StrategyLoadError: The file cannot be read or loaded, or its name is taken by another file.
        """
        return self.known_file(path) or self.keep(read_strategy_file(path))

    def known_file(self, path: Path) -> LoadedStrategy | None:
        """What was loaded of a file, when the file is still the same; its code is not run again then."""
        self._ensure_scanned()
        file = path.expanduser().absolute()
        for loaded in self._found.values():
            if Path(loaded.path) == file:
                return loaded if loaded.origin == "built-in" or _is_still(loaded) else None
        return None

    def new_files(self) -> list[Path]:
        """Files of the person's folder that were not there at the last scan, to be read without holding anything up."""
        self._ensure_scanned()
        if self._folder is None or not self._folder.is_dir():
            return []
        known = {loaded.path for loaded in self._found.values()}
        files = (file.absolute() for file in sorted(self._folder.glob("*.py")) if not file.name.startswith("_"))
        return [file for file in files if str(file) not in known and file.stem not in self._broken]

    def known(self, name: str) -> LoadedStrategy | None:
        """What is loaded under a name; None where nothing is."""
        self._ensure_scanned()
        return self._found.get(name)

    def keep(self, loaded: LoadedStrategy) -> LoadedStrategy:
        """Keep what `read_strategy_file` has loaded under its name.

        Raises:
            StrategyLoadError: The name is taken by another file.
        """
        self._add(loaded)
        return self._found[loaded.name]

    def _ensure_scanned(self) -> None:
        if not self._scanned:
            self.scan()

    def _add(self, loaded: LoadedStrategy) -> None:
        taken = self._found.get(loaded.name)
        if taken is not None and taken.path != loaded.path:
            raise StrategyLoadError(
                f"The strategy {loaded.name} of {loaded.path} was not loaded: {taken.path} has the same name. "
                "Give one of them another `name`."
            )
        self._found[loaded.name] = self.with_defaults(loaded)

    def _sources(self) -> Iterator[tuple[str, Callable[[], LoadedStrategy | None]]]:
        """What a scan loads, each under the name of its module; built-in ones first, so that they keep their names."""
        root = importlib.import_module(self._package)
        for found in pkgutil.walk_packages(root.__path__, f"{self._package}."):
            if not found.ispkg:
                yield found.name.rpartition(".")[2], partial(_load_built_in, found.name)
        if self._folder is not None and self._folder.is_dir():
            for file in sorted(self._folder.glob("*.py")):
                if not file.name.startswith("_"):
                    yield file.stem, partial(_load_file, str(file.absolute()), "folder")


def read_strategy_file(path: Path, source: bytes | None = None) -> LoadedStrategy:
    """Run a strategy's file and check what is in it; touches no registry, so that it may be done in any thread.

    Args:
        path: The file.
        source: What it held once, to load that instead of what it holds now.

    Raises:
        StrategyLoadError: The file cannot be read or loaded.
    """
    return _load_file(str(path.expanduser().absolute()), "file", source)


def is_path(name: str) -> bool:
    """Whether a strategy is named by its file."""
    return name.endswith(".py") or "/" in name or "\\" in name


def _is_still(loaded: LoadedStrategy) -> bool:
    try:
        return _source_hash(Path(loaded.path).read_bytes()) == loaded.source_hash
    except OSError:
        return False


def _source_hash(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:16]


def _load_built_in(module_name: str) -> LoadedStrategy | None:
    """The strategy of an installed module; None for a module without one."""
    spec = importlib.util.find_spec(module_name)
    file = (spec.origin if spec else None) or module_name
    try:
        module = importlib.import_module(module_name)
    except THEIR_FAULTS as error:  # importing runs a strategy's own code, which may raise anything
        raise _load_error(file, error) from error
    classes = _classes(module)
    return _checked(classes, file, "built-in", Path(file).read_bytes()) if classes else None


def _load_file(path: str, origin: Origin, source: bytes | None = None) -> LoadedStrategy:
    """The strategy of a file outside the installed packages."""
    try:
        source = Path(path).read_bytes() if source is None else source
    except OSError as error:
        raise StrategyLoadError(
            f"The strategy file {path} cannot be read: {error.strerror}. Check the path."
        ) from error
    digest = hashlib.sha256(path.encode() + source).hexdigest()[:12]
    # Under a name of its own in sys.modules, where msgspec and pydantic look up a class's annotations.
    module = ModuleType(f"own_strategy_{digest}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the person's own file
        return _checked(_classes(module), path, origin, source)
    except StrategyLoadError:
        del sys.modules[module.__name__]
        raise
    except THEIR_FAULTS as error:  # importing runs a strategy's own code, which may raise anything
        del sys.modules[module.__name__]
        raise _load_error(path, error) from error


def _classes(module: ModuleType) -> list[type[StrategyBase]]:
    """The strategies written in a module; bases that are themselves no strategy (no `name`) do not count."""
    members = [member for member in vars(module).values() if isinstance(member, type)]
    return [
        member
        for member in members
        if issubclass(member, StrategyBase) and member.__module__ == module.__name__ and "name" in vars(member)
    ]


def _checked(classes: list[type[StrategyBase]], path: str, origin: Origin, source: bytes) -> LoadedStrategy:
    """The one class of a file, once it fulfils the contract."""
    if len(classes) != 1:
        found = ", ".join(cls.__name__ for cls in classes) or "none"
        raise _contract_error(
            path, f"a file holds one subclass of Strategy or EventStrategy with a `name`; found: {found}"
        )
    cls = classes[0]
    if not isinstance(cls.name, str) or not _NAME.fullmatch(cls.name):
        raise _contract_error(path, f"the name {cls.name!r} must be lower-case letters, digits and _, at most 48")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise _contract_error(path, f"{cls.__name__} lacks {missing}")
    if issubclass(cls, EventStrategy) and not _hears(cls):
        raise _contract_error(path, f"{cls.__name__} has none of the hooks {', '.join(_HOOKS)}")
    if not issubclass(cls.Params, StrategyParams):
        raise _contract_error(path, "its Params must be a subclass of StrategyParams")
    if not issubclass(cls.Memory, StrategyMemory):
        raise _contract_error(path, "its Memory must be a subclass of StrategyMemory")
    try:
        cls.build()
        kept = msgspec.msgpack.encode(cls.Memory())
        msgspec.msgpack.decode(kept, type=cls.Memory)
    except ConfigurationError as error:
        raise _contract_error(path, f"its defaults are not valid: {error.message}") from error
    except THEIR_FAULTS as error:
        raise _load_error(path, error) from error
    return LoadedStrategy(
        name=cls.name,
        version=cls.version,
        kind=cls.kind,
        cls=cls,
        origin=origin,
        path=path,
        source_hash=_source_hash(source),
        summary=(inspect.getdoc(cls) or "").partition("\n")[0],
        source=source,
    )


def _hears(cls: type[EventStrategy]) -> bool:
    """Whether any of the hooks that the market calls is its own."""
    return any(getattr(cls, hook) is not getattr(EventStrategy, hook) for hook in _HOOKS)


def _contract_error(path: str, what: str) -> StrategyLoadError:
    return StrategyLoadError(
        f"The strategy file {path} was not loaded: {what.rstrip('.')}. docs/strategies.md shows a complete example.",
        details={"path": path},
    )


def _load_error(path: str, error: BaseException) -> StrategyLoadError:
    line = line_in(error, path)
    where = f"{path}, line {line}," if line else path
    return StrategyLoadError(
        f"The strategy file {where} was not loaded: {cause_text(error).rstrip('.')}. Correct the file and try again.",
        details={"path": path, "line": line, "cause": cause_text(error)},
    )
