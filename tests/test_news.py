"""News goes to those that hear its kind, and nobody has to make news that nobody wants."""

from __future__ import annotations

from csms.news import News


class Status:
    pass


class Fault(Status):
    pass


class Boot:
    pass


def test_each_listener_hears_its_kinds_in_the_order_of_coming() -> None:
    news, heard = News(), []
    news.add(lambda event: heard.append(("all", event)))
    news.add(lambda event: heard.append(("status", event)), Status)
    fault, boot = Fault(), Boot()
    news.tell(fault)
    news.tell(boot)
    assert heard == [("all", fault), ("status", fault), ("all", boot)]


def test_a_later_listener_hears_kinds_that_were_told_before() -> None:
    news, heard = News(), []
    news.tell(Boot())
    news.add(heard.append, Boot)
    news.tell(boot := Boot())
    assert heard == [boot]


def test_news_of_a_kind_is_wanted_while_anybody_that_hears_it_wants_it() -> None:
    news, wanted = News(), set[type]()
    assert not news.wanted(Boot)
    news.add(lambda event: None, wants=wanted.__contains__)
    assert not news.wanted(Boot)
    wanted.add(Boot)
    assert news.wanted(Boot)
    wanted.clear()
    assert not news.wanted(Boot)
    news.add(lambda event: None, Status)
    assert news.wanted(Fault)
    assert not news.wanted(Boot)
