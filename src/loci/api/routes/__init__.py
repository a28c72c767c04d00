"""All routes, in the order in which the API document lists them."""

from loci.api.routes import conversations, messages, runs

ROUTERS = (messages.router, conversations.router, runs.router)
