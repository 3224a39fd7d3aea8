"""Pages in a real browser, for their tests: opened offline, from a file; nothing may be logged or loaded."""
import contextlib


@contextlib.contextmanager
def visits(browser, path, width=1280, height=1000):
    """A function that opens a page from its file, at a fragment of it if one is given; at the end nothing may
    have been logged or loaded but the page itself.
    """
    contexts, logged, asked = [], [], []

    def go(fragment="", width=width, height=height, **settings):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, offline=True,
                                            **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        page.goto(f"{path.as_uri()}#{fragment}" if fragment else path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert logged == []
    assert all(url.startswith(("file:///", "blob:", "data:")) for url in asked)
    assert {url for url in asked if url.startswith("file:")} <= {path.as_uri()}, "no other file"
