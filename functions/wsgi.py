"""The functions as a WSGI app, for gunicorn (`functions.wsgi:app`) and Vercel.

A file of its own, since functions-framework executes main.py a second time; and without Flask, which would be
a good part of a cold start.
"""

from werkzeug.wrappers import Request

from functions.main import api

app = Request.application(api)
