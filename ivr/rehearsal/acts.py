"""What stands under `call:` of a scenario: one act a line. Pure."""

from __future__ import annotations

from collections.abc import Callable

from core.yaml_text.words import did_you_mean
from ivr.flow.keys import KEYS
from ivr.rehearsal.model import Act, Changes, Falls, HangsUp, Hears, Press, Silence, Stands
from ivr.rehearsal.worlds import Tell, read_queues, read_shop
from ivr.tree import Listing, Scalar, Table, Tree

STRANGE = KEYS + "ABCD"
WORDS: dict[str, Callable[[int], Act]] = {"silence": Silence, "hang-up": HangsUp, "crash": Falls}
ACTS = ("hear", "never", "press", "interrupt", "at", "shop", "queues", "later_s", *WORDS)
MOST = 500


def read_acts(tree: Tree | None, line: int, tell: Tell) -> tuple[Act, ...]:
    """[] is a caller who does nothing but listen. Faults go to `tell(line, message, field)`."""
    if not isinstance(tree, Listing) or len(tree.items) > MOST:
        tell(tree.line if tree else line, f"a list of at most {MOST} acts is wanted", "call")
        return ()
    acts = [_act(item, tell) for item in tree.items]
    return tuple(act for act in acts if act is not None)


def _act(item: Tree, tell: Tell) -> Act | None:
    if isinstance(item, Scalar) and item.text in WORDS:
        return WORDS[item.text](item.line)
    if not isinstance(item, Table) or len(item.rows) != 1:
        shown = item.text[:60] if isinstance(item, Scalar) else "a list or table"
        tell(item.line, f"'{shown}' is not an act; {did_you_mean(shown, ACTS)}", "call")
        return None
    (kind, value), *_ = item.rows.items()
    line = item.line
    match kind:
        case "hear" | "never":
            wanted = tuple(one.text for one in _items(value) if isinstance(one, Scalar) and one.text.strip())
            if not wanted or len(wanted) != len(_items(value)):
                tell(line, "prompts by name, or words, are wanted", kind)
            return Hears(wanted, line, kind == "never")
        case "press" | "interrupt":
            keys = value.text if isinstance(value, Scalar) else ""
            if not keys or set(keys) - set(STRANGE) or (kind == "interrupt" and len(keys) != 1):
                tell(line, ("one key is" if kind == "interrupt" else "keys are") + ' wanted, such as "1" or "#"', kind)
                return None
            return Press(keys, line, kind == "interrupt")
        case "at" if isinstance(value, Scalar):
            return Stands(value.text, line)
        case "shop":
            return Changes(shop=read_shop(value, tell), line=line)
        case "queues":
            return Changes(queues=read_queues(value, tell), line=line)
        case "later_s" if isinstance(value, Scalar) and isinstance(value.value, int | float):
            return Changes(later_s=float(value.value), line=line)
    tell(line, f"'{kind[:60]}' is not an act, or not with this; {did_you_mean(kind, ACTS)}", "call")
    return None


def _items(tree: Tree) -> list[Tree]:
    return tree.items if isinstance(tree, Listing) else [tree]
