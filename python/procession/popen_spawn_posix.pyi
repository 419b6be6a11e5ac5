from multiprocessing import popen_spawn_posix

__all__ = ["Popen"]

class Popen(popen_spawn_posix.Popen): ...
