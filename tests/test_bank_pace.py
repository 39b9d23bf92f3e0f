"""What is worn is made anew, and not faster than anyone would hear."""

from bank_generator import ClickGenerator, event_conditioner
from diegetic.bank import EventBank, EventSpec, VariationMaker
from diegetic.bank.pace import FRESH, Pace
from diegetic.bank.plan import WORN


def test_a_turn_may_be_taken_at_once_and_then_at_its_pace() -> None:
    now = [100.0]
    pace = Pace(2.0, lambda: now[0])
    taken = []
    for moment in (100.0, 100.0, 101.9, 102.0, 103.9, 110.0, 111.0):
        now[0] = moment
        taken.append(pace.take())
    assert taken == [True, False, False, True, False, True, False]


def test_a_flood_wears_all_takes_and_they_are_made_anew_one_after_another() -> None:
    now = [0.0]
    networks = ClickGenerator(), event_conditioner
    bank = EventBank(VariationMaker(lambda: networks), clock=lambda: now[0])
    bank.declare(EventSpec("shot", variations=2, length=0.3))
    bank.make_ready("shot")
    while bank.work():
        pass
    for made in (3, 4):
        for _ in range(4 * WORN):
            bank.post("shot")
        for _ in range(50):
            bank.work()
        assert bank.counters.made == made
        now[0] += FRESH
