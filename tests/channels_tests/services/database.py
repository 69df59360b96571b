"""What the database servers of tests have in common: a folder with all data."""

import shutil

from .server import Server


class DatabaseServer(Server):
    """A server whose data is a folder, made by prepare()."""

    @property
    def data(self):
        """The folder of the data."""
        return self.folder / "data"

    def snapshot(self):
        number = len(list(self.folder.glob("snapshot-*")))
        path = self.folder / f"snapshot-{number}"
        self.terminate()
        self.run("cp", "-a", self.data, path)
        self.start()
        return path

    def restore(self, snapshot):
        self.run("cp", "-a", snapshot, self.data)

    def erase(self):
        """Delete everything; restart("empty") makes the server's own databases."""
        shutil.rmtree(self.data)

    def restart(self, data="same"):
        if data == "empty":
            self.kill()
            self.erase()
            self.prepare()
            return self.start()
        return super().restart(data)
