from multiprocessing import popen_forkserver

__all__ = ["Popen"]

class Popen(popen_forkserver.Popen): ...
