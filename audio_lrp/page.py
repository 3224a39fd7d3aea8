"""Pages that open offline: templates with their styles and scripts inside, and nothing else allowed."""
import base64
import hashlib
import importlib.resources
import json

import jinja2
import markupsafe

TEMPLATES = importlib.resources.files(__package__) / "templates"


def embedded(*names):
    """(text, its hash as a Content-Security-Policy names it) of styles or scripts that stand inside the page.
    """
    content = "\n".join(TEMPLATES.joinpath(name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return markupsafe.Markup(content), f"'sha256-{digest}'"


def as_json(data):
    """JSON that may stand inside a <script>: no `<`, so nothing in it can end the element."""
    return markupsafe.Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def template_text(name):
    """The text of a template, for those that include others."""
    return TEMPLATES.joinpath(name).read_text(encoding="utf-8")


def page(template, styles, scripts, **data):
    """The text of a page: a template, with the named styles and scripts inside it."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, loader=jinja2.FunctionLoader(template_text))
    (style, style_hash), (script, script_hash) = embedded(*styles), embedded(*scripts)
    # Nothing may be loaded, and nothing may run but these: not even a script that a clip's name would bring
    # along.
    policy = (f"default-src 'none'; script-src {script_hash}; style-src {style_hash}; media-src blob:; "
              "img-src data:; base-uri 'none'; form-action 'none'")
    return environment.get_template(template).render(
        style=style, script=script, policy=policy, **data)
