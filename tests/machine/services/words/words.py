#!/usr/bin/python3
import threading

threading.Event().wait()
