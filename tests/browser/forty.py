"""Forty cases, two models, samples, two versions of a prompt; seven cases come out otherwise than they were accepted, each in a way of its own."""

import json

TOPICS = "refund invoice export login board badge mobile webhook seats trial audit quota import theme calendar comment archive guest backup label".split()
MODELS = ["claude-haiku-4-5", "claude-sonnet-4-6"]


def suite(name, settings, tags):
    cases = "".join(f"  - id: {topic}\n    tags: [{tags[number % 2]}]\n    vars: {{question: 'question {name} {number:02} about {topic}'}}\n" for number, topic in enumerate(TOPICS))
    return f"suite: {name}\nmodels: [{', '.join(MODELS)}]\nrequest: {{max_tokens: 300}}\n{settings}cases:\n{cases}"


def answer(topic):
    return f"Thank you for asking about the {topic}. You find it under Settings, then Workspace.\n\nWrite to us if it does not work after a reload."


def order(topic, edit=None):
    items = [{"id": number, "name": f"{topic} {number}", "amount": number * 12.5} for number in (1, 2, 3)]
    value = {"topic": topic, "priority": "normal", "items": items, "notes": []}
    if edit:
        edit(value)
    return json.dumps(value)


def moved(value):
    value["items"] = [value["items"][2], *value["items"][:2]]
    value["items"][1]["amount"] = 13


def reordered(value):
    for key in ["items", "priority"]:
        value[key] = value.pop(key)
    value["priority"] = "high"
    del value["notes"]


def rules():
    """What each of the seven answers now, before what all of them answered when they were accepted."""

    def rule(model, suite_name, topic, then, call=None):
        when = {"model": MODELS[model], "text": f"question {suite_name} {TOPICS.index(topic):02}"} | ({"call": call} if call else {})
        return {"when": when, "then": then}

    return [
        rule(0, "answers", "refund", {"text": answer("refund").replace("Workspace", "Billing"), "delay": "30ms"}, "1..2"),
        rule(1, "answers", "login", {"text": "Login trouble is usually a matter of cookies.\n\n" + answer("login"), "delay": "90ms"}, 1),
        rule(1, "answers", "login", {"text": answer("login").replace("asking about", "telling us of"), "delay": "90ms"}, 2),
        rule(0, "answers", "badge", {"refusal": {"category": "bio", "explanation": "This request was declined."}}),
        rule(1, "answers", "webhook", {"text": "A webhook is a call that we make. " * 120, "delay": "200ms"}),
        rule(0, "answers", "trial", {"status": 400, "error": "invalid_request_error", "message": "the trial is over"}),
        rule(0, "orders", "export", {"text": order("export", moved), "delay": "40ms"}),
        rule(1, "orders", "board", {"text": order("board", reordered), "delay": "70ms"}),
    ]


def script(ours, first):
    usual = [
        {"when": {"model": model, "text": f"question {name} {number:02}"}, "then": {"text": answer(topic) if name == "answers" else order(topic), "delay": f"{5 + 2 * number + 9 * at}ms"}}
        for name in ["answers", "orders"]
        for number, topic in enumerate(TOPICS)
        for at, model in enumerate(MODELS)
    ]
    # JSON is YAML.
    ours.write("sim.yaml", json.dumps({"rules": [*first, *usual]}))


def prompt(*lines):
    return "\n".join(["system:", *lines, "", "user:", "{{ question }}", ""])


def forty(ours):
    """Accepts, then changes a prompt, and gives the code of the run that sees what became of it."""
    ours.write("promptkeel.toml", '[run]\nendpoint = "simulated"\n\n[endpoints.simulated]\ndialect = "simulated"\nscript = "sim.yaml"\n')
    ours.write("suites/answers.yaml", suite("answers", "prompt: answers\nsamples: 3\nsnapshot: {compare: exact}\n", ["billing", "account"]))
    ours.write("suites/orders.yaml", suite("orders", "prompt: orders\nsnapshot: {compare: json}\n", ["shop", "account"]))
    ours.write("suites/prompts/answers/1.md", prompt("You are the support desk.", "Never promise a date."))
    ours.write("suites/prompts/orders/1.md", prompt("You turn questions into orders.", "Answer with JSON."))
    script(ours, [])
    ours.command("run", "--update", "--quiet")
    ours.write("suites/orders.yaml", suite("orders", "prompt: [orders@1, orders@2]\nsnapshot: {compare: json}\n", ["shop", "account"]))
    ours.write("suites/prompts/orders/2.md", prompt("You turn questions of customers into orders.", "Answer with JSON only.", "</script> is text."))
    ours.write("suites/prompts/answers/1.md", prompt("You are the support desk, and kind.", "Never promise a date."))
    script(ours, rules())
    return ours.command("run", "--json", "run.json", "--html", "forty.html", "--quiet")
