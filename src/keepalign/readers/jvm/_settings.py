"""The properties of one Spring Boot application as it is started: which of all places wins.

Precedence, weakest first: the files of the jar, `.yml` before `.properties`; those of active profiles; the
environment; Java's system properties; the arguments behind the jar.

Source: Spring Boot's reference, "Externalized Configuration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Note, Read, Word
from keepalign.readers._yaml import Fields, insertion
from keepalign.readers.jvm import _properties, _times
from keepalign.readers.jvm._properties import Document, Property, canonical

_PLACEHOLDER: Final = re.compile(r"\$\{([^${}:]{1,200})(?::([^${}]{0,200}))?\}")
_DEFAULT_PROFILE: Final = "default"
_DEEPEST: Final = 8
_ELSEWHERE: Final = ("spring.config.location", "spring.config.additional-location", "spring.config.import")
"""Properties that bring in further ones."""

_SERVERS: Final = (
    "spring.cloud.config.", "spring.cloud.consul.config.", "spring.cloud.nacos.config.",
    "spring.cloud.kubernetes.config.", "spring.cloud.zookeeper.config.",
)  # fmt: skip
"""Beginnings of properties of what fetches further ones, as Spring Cloud's bootstrap files have them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a property is set to.

    Args:
        text: after placeholders; None when it cannot be resolved: `reason` says why.
        site: the bytes of the text; None where nothing of the tree writes it alone.
        steps: where it takes effect, down to where it is written.
    """

    text: str | None
    steps: tuple[Step, ...]
    site: Span | None = None
    note: str = ""
    reason: str = ""


class Settings:
    """All properties of one start.

    Args:
        files: of the jar, in any order.
        environment: every variable the process sees; None for one that is not resolved.
        command: None when it is not known.
        place: of what stands for the start when no word does.
    """

    def __init__(
        self,
        files: Sequence[SourceText],
        environment: Mapping[str, str | None],
        command: CommandLine | None,
        place: Span,
    ) -> None:
        self.notes: list[Note] = []
        self._environment = environment
        self._command = command
        self._place = place
        self._words = _options(command, environment)
        self._documents: list[tuple[str, Document]] = []
        self._unread = ""
        # Of two files of one folder, .properties wins.
        for file in sorted(files, key=lambda one: (not one.file.endswith((".yml", ".yaml")), one.file)):
            try:
                documents = _properties.read(file)
            except ReadError as error:
                self.notes.append(Note(None, f"{file.file} was not used: it {error.message}"))
                self._unread = self._unread or f"{file.file}, which was not used"
                continue
            profile = _profile_of(file.file)
            self._documents += [(profile or one.profiles, one) for one in documents]
        self._active, self._unclear = self._profiles()
        self.elsewhere = self._brought_in()
        """Where else properties may be set; empty when nothing says so."""
        self.plain = next((one for profile, one in reversed(self._documents) if not profile), None)

    def _profiles(self) -> tuple[frozenset[str], str]:
        """The active profiles; why they are not known, if they are not."""
        found = self._from_start("spring.profiles.active")
        if found is None:
            for profile, document in reversed(self._documents):
                written = document.properties.get(canonical("spring.profiles.active"))
                if not profile and written is not None:
                    found = self._resolved(written, document)
                    break
        if found is None:
            return frozenset({_DEFAULT_PROFILE}), ""
        if found.text is None:
            return frozenset(), f"which profiles are active is not known: {found.reason}"
        active = {one.strip() for one in found.text.split(",") if one.strip()}
        for one in sorted(active):
            for _, document in self._documents:
                for name in (f"spring.profiles.group.{one}", "spring.profiles.include"):
                    more = document.properties.get(canonical(name))
                    if more is not None and (not document.profiles or document.profiles in active):
                        active |= {part.strip() for part in more.text.split(",")}
        return frozenset(active), ""

    def _brought_in(self) -> str:
        """What is read besides the jar's own files: a configuration server, a mounted file."""
        if "SPRING_APPLICATION_JSON" in self._environment:
            return "SPRING_APPLICATION_JSON"
        for name in _ELSEWHERE:
            found = self._from_start(name)
            for _, document in self._documents if found is None else ():
                written = document.properties.get(canonical(name))
                if written is not None:
                    found = self._resolved(written, document)
            if found is not None:
                # An address may hold a password.
                return f"{name}={found.text.partition('//')[0][:80]}" if found.text is not None else name
        for _, document in self._documents:
            for key, written in document.properties.items():
                if key.startswith(_SERVERS) and not key.startswith("spring.cloud.config.server."):
                    return f"the server that {written.name} names"
        return self._unread

    def find(self, name: str) -> Found | None:
        """What a property is set to; None where nothing sets it."""
        found = self._from_start(name)
        if found is not None:
            return found
        key = canonical(name)
        plain: Found | None = None
        special: Found | None = None
        doubt = ""
        for profile, document in self._documents:
            written = document.properties.get(key)
            if written is None:
                continue
            if not profile:
                plain = self._resolved(written, document)
            elif self._unclear:
                doubt = f"{written.span.place} sets it for the profile {profile}, and {self._unclear}"
            elif _holds(profile, self._active):
                special = self._resolved(written, document)
            else:
                text = f"{name} is set here for the profile {profile}, which nothing that was read activates"
                self.notes.append(Note(written.span, text))
        winner = special or plain
        if doubt:
            steps = winner.steps if winner is not None else (Step(self._place, name),)
            return Found(None, steps, reason=doubt)
        if special is not None and plain is not None:
            lost = plain.steps[0]
            return replace(special, note=f"wins over {lost.what} at {lost.span.place}")
        return winner

    def _from_start(self, name: str) -> Found | None:
        """Arguments, system properties, the environment."""
        key = canonical(name)
        for word, option, text, value_span in self._words:
            if canonical(option) == key:
                return Found(text, (Step(word.span, (word.text or option)[:120]),), value_span)
        names = {name.upper().replace(".", "_").replace("-", ""), re.sub(r"[.-]", "_", name.upper())}
        for variable, value in self._environment.items():
            if variable.upper() in names or ("." in variable and canonical(variable) == key):
                note = f"environment variable {variable}"
                step = Step(self._place, variable)
                if value is None:
                    return Found(None, (step,), note=note, reason=f"{note} cannot be resolved")
                return Found(value.strip(), (step,), note=note)
        return None

    def _resolved(self, written: Property, document: Document) -> Found:
        what = f"{written.name}={written.text}"[:120] if document.root is None else written.name
        step = Step(written.span, what)
        text, site, note, reason = self._text(written.text, written.value_span, 0)
        return Found(text, (step,), site, note, reason)

    def _text(self, text: str, span: Span | None, depth: int) -> tuple[str | None, Span | None, str, str]:
        """Placeholders replaced: text, the bytes that write it, a note, why it is not known."""
        match = _PLACEHOLDER.search(text)
        if match is None:
            return text.strip(), span, "", ""
        if depth > _DEEPEST:
            return None, None, "", "its placeholders go round"
        name, default = match[1].strip(), match[2]
        value, note, site = self._placeholder(name, depth)
        if value is None and note:
            return None, None, "", note
        if value is None:
            if default is None:
                return None, None, "", f"{name} is not set in the given files"
            value, note = default, f"the default here: {name} is not set in the given files"
            whole = match.span() == (0, len(text))
            start = match.start(2)
            if whole and span is not None and span.end - span.start == len(text.encode()):
                begin = span.start + len(text[:start].encode())
                site = replace(
                    span, start=begin, end=begin + len(default.encode()), column=span.column + start
                )
        elif match.span() != (0, len(text)):
            site = None
        rest = f"{text[: match.start()]}{value}{text[match.end() :]}"
        found, _, further, reason = self._text(rest, None, depth + 1)
        return found, site, note or further, reason

    def _placeholder(self, name: str, depth: int) -> tuple[str | None, str, Span | None]:
        """What `${name}` stands for, a note (with no value: why it is not known), and where it is written."""
        if name in self._environment:
            value = self._environment[name]
            note = f"environment variable {name}"
            return (value, note, None) if value is not None else (None, f"{note} cannot be resolved", None)
        found = self._from_start(name)
        if found is not None:
            return found.text, found.note if found.text is not None else found.reason, found.site
        for profile, document in reversed(self._documents):
            written = document.properties.get(canonical(name))
            if written is not None and (not profile or _holds(profile, self._active)):
                if depth >= _DEEPEST:
                    return None, "its placeholders go round", None
                text, site, note, reason = self._text(written.text, written.value_span, depth + 1)
                return text, note if text is not None else reason, site
        return None, "", None

    # As lengths of time

    def time(self, name: str) -> Read:
        """A length of time of `name`; Absent where nothing sets it."""
        found = self.find(name)
        if found is None and self.elsewhere:
            origin = Origin(OriginKind.FILE, (Step(self._place, self.elsewhere),))
            return Unknown(option=name, origin=origin, reason=f"it may be set in {self.elsewhere}")
        if found is None:
            return Absent(name, self.further(name))
        origin = Origin(OriginKind.FILE, found.steps, note=found.note)
        if found.text is None:
            return Unknown(option=name, origin=origin, reason=found.reason)
        time = _times.parse(found.text)
        site = _times.site(found.text, found.site)
        if time is None:
            reason = f"{found.text[:40]!r} is no length of time that Spring Boot reads"
            return Unknown(option=name, origin=origin, site=site, reason=reason)
        if time.endless:
            return Unlimited(option=name, origin=origin, site=site)
        bare = re.fullmatch(r"\d+", found.text.strip())
        if bare and 0 < int(bare[0]) < 1000:
            trap = f"{bare[0]} ms: a bare number counts milliseconds"
            origin = replace(origin, note="; ".join(text for text in (trap, found.note) if text))
        return Explicit(option=name, origin=origin, site=site, value=time.value)

    def further(self, name: str) -> Site | None:
        """Where a property that nobody sets can be written: among those that hold for every profile, else
        behind the jar."""
        if self.plain is not None:
            return _inserted(self.plain, name)
        command = self._command
        if command is None or command.append_at is None or not any(w.text == "-jar" for w in command.words):
            return None
        if command.style is CommandStyle.LIST:
            return Site(command.append_at, f', "--{name}={{value}}s"')
        return (
            Site(command.append_at, f" --{name}={{value}}s") if command.style is CommandStyle.SHELL else None
        )


def _inserted(document: Document, name: str) -> Site | None:
    source = document.source
    if document.root is None:
        if source.file.endswith((".yml", ".yaml")):
            return None
        if any(one in source.data for one in (b"\n#---", b"\n!---")):
            return None
        end = len(source.data)
        line_end = "\r\n" if b"\r\n" in source.data else "\n"
        lead = "" if not source.data or source.data.endswith(b"\n") else line_end
        return Site(source.span(end, end), f"{lead}{name}={{value}}s{line_end}")
    fields: Fields = document.root
    parts = name.split(".")
    while len(parts) > 1:
        inner = fields.fields(parts[0])
        if inner is None or not inner.entries:
            break
        fields, parts = inner, parts[1:]
    return insertion(source, fields, f"{'.'.join(parts)}: {{value}}s")


def _profile_of(file: str) -> str:
    """ "prod" of application-prod.yml; empty for application.yml."""
    stem = file.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    return stem.partition("-")[2]


def _holds(profile: str, active: frozenset[str]) -> bool:
    """Whether one of several profiles with commas is active, or `!name` is not. Others hold nowhere."""
    parts = re.split(r"[,|]", profile)
    for part in (one.strip() for one in parts):
        if part.startswith("!"):
            if part[1:].strip() not in active:
                return True
        elif all(one.strip() in active for one in part.split("&")):
            return True
    return False


def _options(
    command: CommandLine | None, environment: Mapping[str, str | None]
) -> list[tuple[Word, str, str | None, Span | None]]:
    """`--name=value` behind the jar, then `-Dname=value`: strongest first."""
    words = list(command.words) if command is not None else []
    place = command.place if command is not None else None
    arguments: list[tuple[Word, str, str | None, Span | None]] = []
    system: list[tuple[Word, str, str | None, Span | None]] = []
    behind = False
    for word in words:
        text = word.text or ""
        start = 2 if text.startswith(("-D", "--")) else 0
        name, equals, value = text[start:].partition("=")
        if start and equals:
            site = word.value_span
            if site is not None and not text.isascii():
                site = None
            if site is not None:
                skip = start + len(name) + 1
                site = replace(site, start=site.start + skip, column=site.column + skip)
            into = (
                system
                if text.startswith("-D") and not behind
                else arguments
                if text.startswith("--")
                else None
            )
            if into is not None:
                into.append((word, name, value, site))
        behind = behind or text.endswith((".jar", "JarLauncher"))
    for variable in ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"):
        for text in (environment.get(variable) or "").split():
            name, equals, value = text[2:].partition("=")
            if text.startswith("-D") and equals and place is not None:
                system.append((Word(f"{variable}: -D{name}", place), name, value, None))
    return [*reversed(arguments), *reversed(system)]
