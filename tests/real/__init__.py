"""
Olla in front of real servers, driven by the official clients: ``make test-real``.

The modules are not called ``test_…``, so that ``trial tests`` passes them by: they need what requirements.txt
names.
"""
