"""A run of three models, of which one is cheap and worse and says what would run if it were HTML, and the pages that compare them."""

CASES = 30
HOSTILE = "</details><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><svg onload='window.pwned = 3'></svg>"


def compared(ours):
    """Writes `against.html` and `pair.html`, and `held.html`: the page of the run itself, whose models are held against one."""
    ours.write("promptkeel.toml", '[run]\nendpoint = "simulated"\n\n[endpoints.simulated]\ndialect = "simulated"\nscript = "fixtures/script.yaml"\n')
    cases = "".join(f"  - id: case-{n:02}\n    vars: {{n: 'item {n:02}'}}\n    assert:\n      - contains: 'item {n:02} is fine'\n" for n in range(CASES))
    models = "[claude-opus-4-8, claude-sonnet-4-6, {id: claude-haiku-4-5, label: 'a label <b>that</b> says more than anybody wants to read in a plot'}]"
    suite = f"suite: items\nprompt: item@1\nmodels: {models}\nsamples: 3\nrequest: {{max_tokens: 300}}\nsnapshot: off\nassert:\n  - refusal: never\ncases:\n{cases}"
    ours.write("suites/items.yaml", suite)
    ours.write("suites/prompts/item/1.md", "How is {{ n }}?\n")
    rules = "".join(f"  - when: {{text: 'item {n:02}', model: 'claude-haiku-*'}}\n    then: {{text: \"I looked, and item {n:02} is lost, nothing to worry about.{' ' + HOSTILE if n == 3 else ''}\"}}\n" for n in range(4))
    rules += "".join(f"  - when: {{text: 'item {n:02}'}}\n    then: {{text: 'I looked, and item {n:02} is fine, nothing to worry about.'}}\n" for n in range(CASES))
    ours.write("fixtures/script.yaml", f"rules:\n{rules}")
    ours.command("run", "--json", "run.json", "--quiet")
    ours.command("run", "--against", "claude-opus-4-8", "--html", "held.html", "--quiet")
    ran = ours.command("compare", "run.json", "--against", "claude-opus-4-8", "--html", "against.html")
    ran_pair = ours.command("compare", "run.json", "--models", "claude-opus-4-8", "claude-haiku-4-5", "--html", "pair.html")
    return ran, ran_pair
