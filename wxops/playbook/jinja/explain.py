"""What went wrong in a template, in the operator's words: jinja's and Python's errors made plain, with their place."""

from __future__ import annotations

import jinja2
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError, UndefinedError

from wxops.errors import Origin, TemplateError, WxopsError
from wxops.playbook.jinja.convert import reason
from wxops.playbook.jinja.evaluation import Evaluation, line_of, spot_of_error
from wxops.playbook.jinja.undefined import remedy


def explained(error: Exception, evaluation: Evaluation) -> WxopsError:
    """An error that ended an evaluation."""
    if isinstance(error, TemplateSyntaxError):
        return syntax_error(error, evaluation.text, evaluation.origin)
    spot = spot_of_error(error.__traceback__)
    known = error if isinstance(error, WxopsError) else _translated(error)
    if known.where is None:
        known.where = evaluation.place(spot)
        known.fix = remedy(evaluation, spot, known.fix)
    return known


def syntax_error(error: Exception, text: str, origin: Origin | None) -> WxopsError:
    """An error from compiling a template."""
    if not isinstance(error, TemplateSyntaxError):
        known = error if isinstance(error, WxopsError) else TemplateError(f"not a template: {error}")
        known.where = known.where or origin
        return known
    included = error.filename is not None and (origin is None or error.filename != origin.file)
    where = Origin(error.filename, error.lineno) if error.filename else line_of(origin, text, error.lineno)
    lines = [] if included else text.splitlines()
    shown = f"in: {lines[min(error.lineno, len(lines)) - 1].strip()}" if lines else None
    advice = [getattr(error, "fix", None) or _HINTS.get(error.message or ""), shown]
    return TemplateError(str(error.message), where=where, fix="\n  ".join(each for each in advice if each) or None)


_HINTS = {
    "expected token ':', got '}'": "a condition is an expression already: write it without {{ }}",
}


def _translated(error: Exception) -> TemplateError:
    if isinstance(error, TemplateNotFound):
        made = TemplateError(error.message or f"the template {error.name!r} is not there")
    elif isinstance(error, RecursionError):
        made = TemplateError("the template includes or calls itself without end")
    elif isinstance(error, (UndefinedError, SecurityError, jinja2.TemplateError)):
        made = TemplateError(str(error))
    else:
        made = TemplateError(f"cannot be evaluated: {reason(error)}")
    made.__cause__ = error
    return made
