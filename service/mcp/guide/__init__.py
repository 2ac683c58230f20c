"""What teaches agents to use the server: instructions, resources (the pages here), prompts."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

INSTRUCTIONS: Final = (
    "Spanledger remembers every attempt of every task: statuses, retries, errors, recoveries. "
    "Read-only. Start with tasks_last_failed (what failed), explain_failure (why, and what to "
    "try), task_stats (how a task fares) or recommend_executor (whom to give it to). Each answer "
    "begins with `summary`; `truncated` and `more` say how to go on. Resource "
    "spanledger://guide says more."
)


@dataclass(frozen=True, slots=True)
class Page:
    """A resource: a page of text."""

    uri: str
    name: str
    description: str
    file: str

    def text(self) -> str:
        """The page, in Markdown."""
        return files(__name__).joinpath(self.file).read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: a text with places for arguments, each with its sentence; all but `needed` may
    lack."""

    name: str
    description: str
    text: str
    arguments: dict[str, str]
    needed: tuple[str, ...] = ()

    def filled(self, given: dict[str, str]) -> str:
        """The text with its arguments; lines about one that lacks are left out."""
        lines = []
        for line in self.text.splitlines():
            places = [name for name in self.arguments if f"{{{name}}}" in line]
            if all(given.get(name) for name in places):
                for name in places:
                    line = line.replace(f"{{{name}}}", given[name])  # noqa: PLW2901
                lines.append(line)
        return "\n".join(lines)


PAGES: Final = {
    page.uri: page
    for page in (
        Page(
            "spanledger://guide", "guide", "Which tool answers what. Read this first.", "guide.md"
        ),
        Page("spanledger://words", "words", "Statuses, categories, fields.", "words.md"),
    )
}
PROMPTS: Final = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "debug_failure",
            "Find out why a task failed and what to do.",
            "Find out why it failed, with Spanledger's tools.\n"
            "Task: {task_id}.\n"
            "Run: {run_id}.\n"
            "1. Call explain_failure with these ids, or without any for the newest failure.\n"
            "2. If the run has several attempts, call compare_attempts.\n"
            "3. If the error is known, call error_pattern with its fingerprint.\n"
            "Tell: what failed, since when, whether it recovers by itself, the likeliest cause, "
            "and one next step. Name the ids and counts that you rely on.",
            {"task_id": "Id of the task.", "run_id": "Id of the run."},
        ),
        Prompt(
            "choose_executor",
            "Choose an executor or model for a task.",
            "Choose who is to run task {task_id}.\n"
            "Call recommend_executor with it. If `sure` is false, say that the difference may be "
            "chance and choose by duration. Tell the rate, its interval and the counts.",
            {"task_id": "Id of the task."},
            needed=("task_id",),
        ),
        Prompt(
            "review",
            "What happened lately, for people.",
            "Tell what happened lately, in ten lines.\n"
            "Only what is newer than {since}.\n"
            "Call tasks_last_failed with unique_errors, task_stats without arguments, and "
            "explain_failure for the error that matters most. Begin with what failed for good, "
            "then what recovered, then what became slower.",
            {"since": "An age such as 24h."},
        ),
    )
}  # fmt: skip
