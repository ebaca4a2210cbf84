# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests. SPEKE_BUILD names the build directory to test (default: var/build);
SPEKE_KEEP=1 keeps the directory of the run."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness.site import Install, Site, remove, work_directory  # noqa: E402

SERVERS = ["lighttpd", "apache"]
OTHER_WAYS = ["lighttpd-spawn", "apache-fcgid", "apache-cgi"]
LOG_TAIL = 8000
SITES = []  # those that run, for the logs of a failed test


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for site in SITES:
            for name, text in site.logs().items():
                if text:
                    report.sections.append((f"end of the log of {name}", text[-LOG_TAIL:]))


@pytest.fixture(scope="session")
def run_directory():
    directory = work_directory()
    yield directory
    if os.environ.get("SPEKE_KEEP"):
        print(f"\nkept: {directory}")
    else:
        remove(directory)


@pytest.fixture(scope="session")
def install(run_directory):
    return Install(run_directory)


def running(site):
    SITES.append(site)
    try:
        site.start()
        yield site
    finally:
        site.stop()
        SITES.remove(site)


@pytest.fixture(scope="session")
def site(install, run_directory):
    """The installation that most tests share; none of them may spoil it."""
    yield from running(Site(install, os.path.join(run_directory, "site")))


@pytest.fixture
def new_site(install, run_directory, request):
    """Makes an installation for one test, which may do with it what it likes."""
    made = []

    def make(**more):
        site = Site(install, os.path.join(run_directory, f"own-{len(SITES)}-{os.urandom(4).hex()}"), **more)
        SITES.append(site)
        made.append(site)
        return site.start()

    yield make
    for site in made:
        site.stop()
        SITES.remove(site)


@pytest.fixture(scope="session", params=SERVERS)
def web(request, site):
    """Each of the two servers in front of the responder that stands alone."""
    return site.web(request.param)


@pytest.fixture(scope="session")
def client(web):
    """A kept connection to it, logged in with Digest as client "encoder" of tenant "demo"."""
    with web.client() as client:
        yield client


@pytest.fixture(scope="session", params=OTHER_WAYS)
def any_client(request, site):
    """The same for the other ways to run the program."""
    with site.web(request.param).client() as client:
        yield client
