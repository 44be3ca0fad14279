"""show("NN-name"): the numbers of a pitfall's forms, from a short run. What they prove is counts, never times."""

import pytest

from pitfalls import run


class Form(dict):
    """A form's values, numbers as int; `said`: the lines of standard error that its description asks for."""

    def __init__(self, values, said):
        super().__init__({k: int(v) if v.lstrip("-").isdigit() else v for k, v in values.items()})
        self.said = said


@pytest.fixture
def show(build):
    run.BUILD = build

    def forms(name, *only):
        """{form: Form} of all forms, or of those named. One that cannot run here (no Go) skips the test that asked for it."""
        shown = run.show(name, short=True, only=only or None)
        for form, what in shown.items():
            if "missing" in what:
                pytest.skip(f"{form}: {what['missing']}")
        return {form: Form(what["values"], what["said"]) for form, what in shown.items()}

    return forms
