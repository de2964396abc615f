"""The dashboard in a real browser. A package, so that one Chromium can serve all of these tests and end with the last."""
