"""The paged backend: which sequences run, prompts read in pieces between decode steps, pages given and taken.

One launch is always ahead of what has been read back. A sequence that stops at a token costs one row of a step that
nobody reads; one that reaches max_tokens costs nothing, since the host counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as List
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import torch

from wxruntime.backends.base import Ending, Limits, Logprob, Sequence, Step, Usage
from wxruntime.backends.prompt_logprobs import Scores, following, score, unscored
from wxruntime.checkpoint import CheckpointError
from wxruntime.paged.model import Ernie
from wxruntime.paged.pool import Pool, page_names
from wxruntime.paged.prompts import Piece, Prompts
from wxruntime.paged.rows import Answer, Rows
from wxruntime.paged.run import Run
from wxruntime.sampling import Sampling


@dataclass(slots=True)
class Flight:
    """A launch whose answer has not been read: the run of each of its rows, None where there is none to be told."""

    runs: list[Run | None]
    answer: Answer
    top: tuple[torch.Tensor, torch.Tensor] | None = None
    scores: list[tuple[Run, Scores]] = field(default_factory=list)
    processed: int = 0
    started: list[tuple[int, int]] = field(default_factory=list)


class Paged:
    """A Backend (wxruntime.backends.base) for dense ERNIE 4.5."""

    gather_s = 0.0

    def __init__(
        self,
        model: Ernie,
        *,
        slots: int,
        page: int,
        sequences: int,
        batch_tokens: int,
        context: int,
        share: bool = True,
    ) -> None:
        self.limits = Limits(context_length=context, max_sequences=sequences, kv_tokens=slots)
        self.model, self.batch_tokens = model, batch_tokens
        self.pool = Pool(slots // page, page, share)
        self.rows = Rows(model, sequences, -(-context // page), page)
        self.prompts = Prompts(model, -(-context // page), page)
        self._share = share
        self._queries = self._hits = 0
        self._clear()

    def _clear(self) -> None:
        self._runs: dict[int, Run] = {}
        self._waiting: deque[Run] = deque()
        self._reading: deque[Run] = deque()
        self._at: list[Run | None] = [None] * self.limits.max_sequences
        self._idle_rows = list(range(self.limits.max_sequences))
        self._flights: deque[Flight] = deque()
        self._due: dict[int, list[Run]] = {}  # decode steps at which a run needs its next page
        self._clock = 0
        self._read_last = False

    @torch.inference_mode()
    def capture(self) -> None:
        """Choose the products and make the CUDA graphs; without, every launch is made kernel by kernel."""
        self.model.weights.tune()
        self.rows.capture()
        self.prompts.capture(self.batch_tokens)

    # -- the protocol ---------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def prove(self) -> None:
        run = Run(Sequence(-1, [0], Sampling(max_tokens=1, temperature=0.0)))
        run.pages = [self.pool.take()]
        read = self.prompts.launch([Piece(run, 0, 1)])
        self.pool.give_back(run.pages)
        if not torch.isfinite(read.logits[:1]).all():
            raise CheckpointError("the weights give logits that are not finite")

    def admit(self, sequences: List[Sequence]) -> None:
        for sequence in sequences:
            run = Run(sequence)
            self._runs[run.id] = run
            self._waiting.append(run)

    def drop(self, ids: List[int]) -> None:
        for each in ids:
            run = self._runs.get(each)
            if run is not None:
                self._end(run)

    @torch.inference_mode()
    def step(self) -> Step:
        step = Step()
        launched = self._launch(step)
        if len(self._flights) > 1 or (self._flights and not launched):
            self._land(step)
        return step

    def usage(self) -> Usage:
        return Usage(1 - self.pool.free / self.pool.pages, self._queries, self._hits)

    def reset(self) -> None:
        if self.rows.on_gpu:
            torch.cuda.synchronize()
        self.rows.positions.fill_(-1)
        self.pool = Pool(self.pool.pages, self.pool.page, self._share)
        self._clear()

    def close(self) -> None:
        if self.rows.on_gpu:
            torch.cuda.synchronize()

    # -- launches -------------------------------------------------------------------------------------------------

    def _launch(self, step: Step) -> bool:
        """A piece of the prompts that wait, or a decode step; in turn where there are both."""
        self._admit_waiting()
        decoding = len(self._idle_rows) < self.limits.max_sequences - len(self._reading)
        if self._reading and not (self._read_last and decoding):
            self._read_last = True
            self._read_prompts()
            return True
        self._read_last = False
        return decoding and self._decode(step)

    def _admit_waiting(self) -> None:
        """First come, first served, while there are rows and pages: for the prompt, and for the growth of who runs."""
        page = self.pool.page
        while self._waiting and self._idle_rows:
            run = self._waiting[0]
            names = run.names(page) if self._share and run.shares else []
            held = self.pool.hold(names)
            needed = len(run.tokens) // page + 1 - len(held)
            running = self.limits.max_sequences - len(self._idle_rows)
            if self.pool.free < needed + running and (running or self.pool.free < needed):
                self.pool.give_back(held)
                return
            self._waiting.popleft()
            run.pages = held + [self.pool.take() for _ in range(needed)]
            run.read = run.cached = len(held) * page
            run.row = heappop(self._idle_rows)
            self._reading.append(run)

    def _read_prompts(self) -> None:
        """One pass over as many prompt tokens as a step may have."""
        pieces: list[Piece] = []
        room = self.batch_tokens
        started = []
        while self._reading and room:
            run = self._reading[0]
            piece = Piece(run, run.read, min(len(run.tokens), run.read + room))
            pieces.append(piece)
            room -= piece.last - piece.first
            if not run.started:
                run.started = True
                started.append((run.id, run.cached))
                self._queries += len(run.tokens) if run.shares else 0
                self._hits += run.cached
            run.read = piece.last
            if not piece.whole:
                break
            self._reading.popleft()
        read = self.prompts.launch(pieces)
        runs = [piece.run if piece.whole else None for piece in pieces]
        flight = Flight(runs, self.rows.answer(read.drawn), started=started, processed=self.batch_tokens - room)
        flight.top = self._top_of(runs, read.logits)
        flight.scores = self._scores_of(pieces, read.hidden)
        self._flights.append(flight)
        for piece in pieces:
            self._name_pages(piece.run, piece.last)
        self._start_rows(runs, read.drawn[0])

    def _scores_of(self, pieces: list[Piece], hidden: torch.Tensor) -> list[tuple[Run, Scores]]:
        """How likely the tokens of these pieces were, where a run asks for it: launched, not waited for."""
        found, row = [], 0
        for piece in pieces:
            run = piece.run
            positions = unscored(run.sequence, run.scored, piece.first, piece.last)
            if positions:
                run.scored = positions.stop
                states = hidden[row + positions.start - piece.first :][: len(positions)]
                tokens, top = following(run.sequence, positions), run.sequence.sampling.prompt_logprobs or 0
                found.append((run, score(states, self.model.logits, self.model.config.vocab_size, tokens, top)))
            row += piece.last - piece.first
        return found

    def _start_rows(self, runs: list[Run | None], tokens: torch.Tensor) -> None:
        """They decode from the next step on, but for those of which the answer has one token."""
        going = []
        for at, run in enumerate(runs):
            if run is None:
                continue
            run.drawn += 1
            if run.drawn < run.most:
                going.append((at, run))
            else:
                self._leave_row(run, clear=False)
        if not going:
            return
        rows = [run.row for _, run in going if run.row is not None]
        tokens = tokens.index_select(0, self.rows.send([at for at, _ in going]))
        positions = [run.position for _, run in going]
        pages = [run.pages for _, run in going]
        self.rows.fill(rows, tokens, positions, pages, [run.sequence.sampling for _, run in going])
        for (_, run), row in zip(going, rows, strict=True):
            self._at[row] = run
            self._due.setdefault(self._clock + len(run.pages) * self.pool.page - run.position, []).append(run)

    def _decode(self, step: Step) -> bool:
        """One token for each row; False when there is none after all."""
        self._grow(step)
        count = self.limits.max_sequences - len(self._idle_rows) - len(self._reading)
        if not count:
            return False
        highest = max(row for row, run in enumerate(self._at) if run is not None)
        size = self.rows.size(count + len(self._reading))
        if highest >= size:
            self._move_down(size)
        runs = self._at[:size]
        flight = Flight(runs, self.rows.launch(size), processed=count)
        flight.top = self._top_of(runs, None, size)
        self._flights.append(flight)
        self._clock += 1
        done = []
        for run in runs:
            if run is not None:
                run.drawn += 1
                if run.drawn == run.most:
                    done.append(run)
        self._leave_rows(done)
        return True

    def _grow(self, step: Step) -> None:
        """The next page for each row that begins one in this step. Where none is left, the youngest is set back."""
        changes: list[tuple[int, int, int]] = []
        waiting = self._due.pop(self._clock, [])
        for at, run in enumerate(waiting):
            if run.over or run.row is None or self._at[run.row] is not run:
                continue
            if len(run.pages) * self.pool.page != run.position:
                continue  # an entry from before it was set back
            if not self.pool.free:
                if changes:
                    self.rows.grow(changes)
                self._due.setdefault(self._clock, []).extend(waiting[at:])
                self._make_room(step)
                self._grow(step)
                return
            page = self.pool.take()
            changes.append((run.row, len(run.pages), page))
            run.pages.append(page)
            self._due.setdefault(self._clock + self.pool.page, []).append(run)
        if changes:
            self.rows.grow(changes)

    def _make_room(self, step: Step) -> None:
        """Read what is in flight: somebody may have ended. Else the youngest is set back, to be read anew."""
        while self._flights:
            self._land(step)
        if self.pool.free:
            return
        run = next(run for run in reversed(self._runs.values()) if run.row is not None)
        self._leave_row(run)
        if run in self._reading:
            self._reading.remove(run)
        self.pool.give_back(run.pages)
        run.pages, run.read, run.drawn = [], 0, run.told
        self._waiting.appendleft(run)

    def _move_down(self, size: int) -> None:
        """Sequences in rows above `size` go to free rows below it, so that the smaller graph steps them all."""
        moved = [run for run in self._at[size:] if run is not None]
        sources = [run.row for run in moved if run.row is not None]
        targets = []
        for run, source in zip(moved, sources, strict=True):
            target = heappop(self._idle_rows)
            targets.append(target)
            heappush(self._idle_rows, source)
            self._at[target], self._at[source], run.row = run, None, target
        self.rows.move(sources, targets)

    # -- answers --------------------------------------------------------------------------------------------------

    def _land(self, step: Step) -> None:
        """Read the oldest launch's answer into `step`."""
        flight = self._flights.popleft()
        tokens = flight.answer.tokens()
        step.started += flight.started
        step.processed += flight.processed
        for scored, scores in flight.scores:
            if not scored.over:
                step.prompt_logprobs.setdefault(scored.id, []).extend(scores.told())
        told = step.tokens
        asked: list[tuple[int, int]] = []
        for at, (run, token) in enumerate(zip(flight.runs, tokens, strict=False)):
            if run is None or run.over:
                continue
            run.tokens.append(token)
            run.told += 1
            if flight.top is not None and run.sequence.sampling.logprobs is not None:
                asked.append((at, len(told)))
            told.append((run.id, token))
            if token in run.stops:
                self._finish(step, run, "stop")
            elif run.told == run.most:
                self._finish(step, run, "length")
        if asked and flight.top is not None:
            self._tell_logprobs(step, flight, asked)

    def _tell_logprobs(self, step: Step, flight: Flight, asked: list[tuple[int, int]]) -> None:
        assert flight.top is not None
        values, ids = (each.tolist() for each in flight.top)
        chosen = flight.answer.logprobs()
        for at, told in asked:
            run = flight.runs[at]
            count = run.sequence.sampling.logprobs or 0 if run is not None else 0
            top = tuple(zip(ids[at][:count], values[at][:count], strict=True))
            step.logprobs[told] = Logprob(chosen[at], top)

    def _top_of(
        self, runs: List[Run | None], logits: torch.Tensor | None, size: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The likeliest tokens of a launch, where a run asks for log-likelihoods."""
        counts = [run.sequence.sampling.logprobs for run in runs if run is not None]
        asked = [count for count in counts if count is not None]
        if not asked:
            return None
        if logits is None:
            return self.rows.top(size, max(1, *asked))
        values, ids = torch.log_softmax(logits.float(), -1).topk(max(1, *asked))
        return values, ids

    def _finish(self, step: Step, run: Run, ending: Ending) -> None:
        self._name_pages(run, len(run.tokens) - 1)
        self._end(run)
        step.finished.append((run.id, ending))

    def _end(self, run: Run) -> None:
        """Nothing of it stays. A step in flight may still write to its pages: whoever gets them writes later."""
        run.over = True
        del self._runs[run.id]
        if run in self._waiting:
            self._waiting.remove(run)
        if run in self._reading:
            self._reading.remove(run)
        self._leave_row(run)
        self.pool.give_back(run.pages)
        run.pages = []

    def _name_pages(self, run: Run, tokens: int) -> None:
        """The pages of its first `tokens` tokens hold what later prompts may share."""
        if self._share:
            names = page_names(run.tokens[:tokens], self.pool.page)
            self.pool.name(run.pages, names)

    def _leave_row(self, run: Run, clear: bool = True) -> None:
        if run.row is not None:
            if clear and self._at[run.row] is run:
                self.rows.clear([run.row])
            self._at[run.row] = None
            heappush(self._idle_rows, run.row)
            run.row = None

    def _leave_rows(self, runs: list[Run]) -> None:
        rows = [run.row for run in runs if run.row is not None]
        if rows:
            self.rows.clear(rows)
        for run in runs:
            self._leave_row(run, clear=False)
        heapify(self._idle_rows)
