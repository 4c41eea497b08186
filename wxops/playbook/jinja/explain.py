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
    lines = text.splitlines() or [""]
    in_file = bool(error.filename)
    where = Origin(error.filename, error.lineno) if error.filename else line_of(origin, text, error.lineno)
    shown = "" if in_file else lines[min(error.lineno, len(lines)) - 1].strip()
    advice = [getattr(error, "fix", None), f"in: {shown}" if shown else None]
    return TemplateError(f"{error.message}", where=where, fix="\n  ".join(each for each in advice if each) or None)


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
