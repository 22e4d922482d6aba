"""The section on how the seeds were planned: the looks of a sequential study, and what a time budget chose."""

from __future__ import annotations

from ablations.analysis.group_sequential import FEW_SEEDS, Look
from ablations.analysis.looks import Stage, stage
from ablations.analysis.verdicts import Findings
from ablations.core.text import MISSING, counted, duration, listed, probability
from ablations.reporting.document import Block, Section, Table


def section(evidence: Findings) -> Section | None:
    """Returns the section; None for a study without looks or a time budget."""
    blocks = [*_looks(evidence), *_allowance(evidence)]
    return Section(title="How the seeds were planned", blocks=tuple(blocks)) if blocks else None


def _looks(evidence: Findings) -> list[Block]:
    rule = evidence.study.rule
    if not rule.looks:
        return []
    reached = stage(evidence)
    most = max((verdict.comparisons for verdict in evidence.verdicts), default=1)
    looks = [Look(number=number, seeds=rule.looks) for number in range(1, len(rule.looks) + 1)]
    rows = tuple(_row(look, rule.alpha, most, reached) for look in looks)
    head = ("look", "seeds", f"level for {rule.alpha:g}", f"level for {rule.alpha:g} / {most}", "settled by it")
    return [
        f"The study is sequential: it was judged after {listed(rule.looks)} seeds, as declared before its first trial. "
        "A claim whose size a look told (beyond the smallest effect of interest, or within it) was settled: its "
        "verdict stands on the seeds of that look, and changes that only settled claims are about got no more. "
        "Wherever the rule under Methods has a level, that of the look takes its place, and each p is the repeated "
        "p-value (Jennison and Turnbull 2000, section 9.5), so that all looks together err as often as one would. The "
        "levels spend the error rate as O'Brien and Fleming's boundary does, in the form of Lan and DeMets (1983), "
        f"two-sided and symmetrical, on {FEW_SEEDS:.0%} of it, as a t with few degrees of freedom crosses a little "
        "more often than a normal. Effects in other tables are of all the seeds that there are.",
        Table(caption="Looks at the seeds.", head=head, rows=rows),
    ]


def _row(look: Look, alpha: float, comparisons: int, reached: Stage) -> tuple[str, ...]:
    names = ", ".join(name for name, by in reached.settled.items() if by == look.number)
    what = names or ("nothing" if look.number <= reached.taken else MISSING)
    levels = (probability(look.level(alpha)), f"{look.level(alpha / comparisons):.2g}")
    return str(look.number), str(look.seeds[look.number - 1]), *levels, what


def _allowance(evidence: Findings) -> list[Block]:
    chosen = evidence.study.allowance
    if not chosen:
        return []
    gave = f" That gave up: {'; '.join(chosen.given_up)}." if chosen.given_up else " That gave up nothing."
    return [
        f"Design, seeds and epochs were chosen before the first trial to fit into {chosen.asked}, from timing a few "
        f"steps: {chosen.grid}, {counted(chosen.seeds, 'seed')}, {counted(chosen.work, 'epoch')}, about "
        f"{duration(round(chosen.seconds))}.{gave}"
    ]
