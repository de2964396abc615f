import logging

import clawlog

log = logging.getLogger("my.program")
log.setLevel(logging.INFO)
handler = clawlog.LogHandler(level=logging.INFO)
log.addHandler(handler)
with clawlog.task("Read the mail"):
    log.info("reading message 7")  # what the task's page shows as "now"
log.removeHandler(handler)
