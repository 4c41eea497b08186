"""Pages are given once, come back, and are shared by prompts that begin alike."""

from wxruntime.paged.pool import Pool, page_names


def test_a_name_says_all_that_came_before() -> None:
    one, other = page_names([1, 2, 3, 4, 5], 2), page_names([1, 2, 9, 4, 5], 2)
    assert len(one) == 2, "the last page is not full"
    assert one[0] == other[0]
    assert page_names([9, 9, 3, 4], 2)[1] != one[1], "equal tokens after others are another page"


def test_a_prompt_holds_the_pages_that_begin_like_it() -> None:
    pool = Pool(4, 2)
    pages = [pool.take(), pool.take()]
    pool.name(pages, page_names([1, 2, 3, 4], 2))
    pool.give_back(pages)
    assert pool.free == 4
    assert pool.hold(page_names([1, 2, 9, 9], 2)) == pages[:1]
    assert pool.free == 3


def test_a_page_is_free_when_its_last_holder_gives_it_back() -> None:
    pool = Pool(1, 2)
    page = pool.take()
    pool.name([page], page_names([1, 2], 2))
    assert pool.hold(page_names([1, 2], 2)) == [page]
    pool.give_back([page])
    assert pool.free == 0
    pool.give_back([page])
    assert pool.free == 1


def test_a_page_that_is_taken_for_something_else_loses_its_name() -> None:
    pool = Pool(1, 2)
    page = pool.take()
    pool.name([page], page_names([1, 2], 2))
    pool.give_back([page])
    assert pool.take() == page
    assert pool.hold(page_names([1, 2], 2)) == []


def test_the_oldest_free_page_is_taken_first_and_a_prefix_loses_its_end_first() -> None:
    pool = Pool(3, 2)
    pages = [pool.take() for _ in range(3)]
    pool.give_back(pages)
    assert pool.take() == pages[2]
