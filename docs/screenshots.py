"""Look at the built site in a browser without network: pictures of some pages, and whether any page scrolls sideways.

``python docs/screenshots.py docs/_build/html docs/_build/screenshots [page …]`` needs Chromium (Debian: apt install chromium).
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGES = (
    "index.html",
    "tutorials/01-from-backward-to-jacobian.html",
    "explanation/choice.html",
    "how-to/rules.html",
    "reference/jacobians.html",
)
WIDTHS = (1300, 390)
HEIGHT = 2600

# A window cannot be as narrow as a telephone, but a frame in it can.
FRAME = "<body style='margin:0'><iframe src='/{page}' style='border:0;width:{width}px;height:{height}px'></iframe>"
MEASURE = """<body><iframe style='width:{width}px;height:2000px'></iframe><pre></pre><script>
(async () => {{
  const frame = document.querySelector('iframe'), found = {{}};
  for (const page of {pages}) {{
    await new Promise(done => {{ frame.onload = done; frame.src = '/' + page; }});
    const math = frame.contentWindow.MathJax;
    if (math && math.startup) await math.startup.promise;
    found[page] = frame.contentDocument.documentElement.scrollWidth;
  }}
  document.querySelector('pre').textContent = JSON.stringify(found);
}})();
</script>"""


class Site(SimpleHTTPRequestHandler):
    """Serves the site, and the frames into which its pages are put."""

    frames = {}

    def do_GET(self):
        frame = self.frames.get(self.path)
        if frame is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(frame.encode())

    def log_message(self, *args):
        pass


def browse(server, frame, *options):
    """Open a frame in Chromium, which finds no host but this server; return what it writes."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("no Chromium found: install one (Debian: apt install chromium)")
    Site.frames["/frame"] = frame
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=60000",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={profile}", *options,
            f"http://127.0.0.1:{server.server_port}/frame",
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout


def main(site, out, pages):
    """Take the pictures into a folder; return the pages that are wider than a telephone."""
    out.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for page in pages:
        for width in WIDTHS:
            picture = out / f"{page.removesuffix('.html').replace('/', '-')}-{width}.png"
            frame = FRAME.format(page=page, width=width, height=HEIGHT)
            browse(server, frame, f"--window-size={max(width, 500)},{HEIGHT}", f"--screenshot={picture}")
    every = sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html") if "_static" not in p.parts)
    written = browse(server, MEASURE.format(width=WIDTHS[-1], pages=json.dumps(every)), "--dump-dom")
    server.shutdown()
    widths = json.loads(unescape(re.search(r"<pre>(.*?)</pre>", written, flags=re.DOTALL)[1]))
    return {page: width for page, width in widths.items() if width > WIDTHS[-1]}, len(widths)


if __name__ == "__main__":
    wide, looked_at = main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or PAGES)
    print(f"{looked_at} pages looked at, {len(wide)} scroll sideways at {WIDTHS[-1]} px")
    for page, width in wide.items():
        print(f"  {page}: {width} px")
    sys.exit(bool(wide))
