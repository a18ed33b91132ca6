"""Networks become arms, whose names are allowed and told apart."""

from __future__ import annotations

from experiment_outcomes import make_networks, make_setting

from medarts_ops.experiments.network import arms_of, key_of


def test_an_arm_has_all_that_is_known_of_its_network():
    (network,) = make_networks("mine")
    network = network._replace(method="RL", search_seconds=3.0, published_as="ENAS")
    (arm,) = arms_of([network], make_setting(), "16×16")
    assert (arm.name, arm.subject, arm.condition) == ("mine.16x16", "mine", "16×16")
    assert (arm.description, arm.method, arm.search_seconds, arm.published_as) == ("mine in words", "RL", 3.0, "ENAS")
    assert arm.fingerprint == make_setting().dataset.fingerprint and arm.genotype == network.genotype


def test_equal_names_are_told_apart():
    arms = arms_of(make_networks("a", "a", "a-2", "a"), make_setting())
    assert [arm.subject for arm in arms] == ["a", "a-3", "a-2", "a-4"] == [arm.name for arm in arms]


def test_names_that_no_job_may_have_are_rewritten():
    arms = arms_of(make_networks("über alles", "über/alles", "…", "x" * 90), make_setting(), "1,000 images")
    assert [arm.name for arm in arms[:3]] == ["ber-alles.1000_images", "ber-alles-2.1000_images", "arm.1000_images"]
    assert len(arms[3].name) <= 60 and arms[0].subject == "über alles"


def test_words_become_keys():
    assert [key_of(words) for words in ("16×16", "10,000 images → 20,000 images")] == [
        "16x16",
        "10000_images_20000_images",
    ]
