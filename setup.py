"""Metadata; settings of the tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "olla/__init__.py").read_text()).group(1)

setup(
    name="olla",
    version=VERSION,
    description="One address in front of many LLM servers: a Twisted proxy and load balancer",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    # An editable install that names the whole folder puts it on the path as it is; one that maps single packages
    # would hide twisted/plugins from Twisted, and with it the plugin.
    package_dir={"": "."},
    packages=[*find_packages(include=["olla", "olla.*"]), "twisted.plugins"],
    package_data={"olla": ["py.typed"], "olla.config": ["profiles/*.yaml"], "twisted.plugins": ["olla_plugin.py"]},
    include_package_data=False,
    zip_safe=False,
    install_requires=[
        "Twisted[tls]>=26.10,<27",
        "treq>=25,<27",
        "klein>=24.8,<25",
        "pyopenssl>=25",
        "service-identity>=24",
        "zope.interface>=7",
        "httptools>=0.7,<0.10",
        "hyperlink>=21",
        "msgspec>=0.20,<0.23",
        "attrs>=25",
        "cattrs>=25",
        "PyYAML>=6,<7",
        "cachetools>=6",
        "psutil>=7",
    ],
    extras_require={
        "test": [
            "hypothesis>=6.130",
            "jsonschema>=4.23,<5",
            "prometheus_client>=0.22,<1",
            'zstandard>=0.23; python_version < "3.14"',
        ],
        "dev": [
            "hypothesis>=6.130",
            "import-linter>=2.5,<3",
            "mypy>=2,<3",
            "mypy-zope>=1.0.17,<2",
            "prometheus_client>=0.22,<1",
            "ruff>=0.15,<1",
            "towncrier>=25",
            "types-PyYAML",
            "types-cachetools",
            "types-psutil",
        ],
        "zstd": ['zstandard>=0.23; python_version < "3.14"'],
        "docs": ["docutils>=0.21", "Pygments>=2.18"],
    },
    entry_points={"console_scripts": ["olla = olla.tap:main"]},
    classifiers=[
        "Framework :: Twisted",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP",
    ],
)
