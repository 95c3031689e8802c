"""Tells ``twistd`` of Olla."""

from twisted.application.service import ServiceMaker

olla = ServiceMaker("Olla", "olla.tap", "One address in front of many LLM servers.", "olla")
