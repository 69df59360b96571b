"""The database layer on servers does what the model of the contract does."""

from functools import partial

from django.channels.backends.database import DatabaseChannelLayer
from django.test import tag

from . import services
from .databases import MariaDBTestCase, PostgreSQLTestCase
from .test_model import ModelTestCase, StoreUnderTest


class ServerModelTests:
    """For a ModelTestCase with a database; each example has tables of its own."""

    examples = 100
    steps = 30

    def make_layer(self, table, **options):
        layer = DatabaseChannelLayer(using=self.using, table=table, **options)
        layer.create_tables()
        return layer

    def test_the_database_layer_does_what_the_model_does(self):
        make = partial(StoreUnderTest, self.make_layer, services.unique_name)
        self.run_machine(make, self.examples, self.steps)


@tag("full")
class PostgreSQLModelTests(PostgreSQLTestCase, ServerModelTests, ModelTestCase):
    pass


@tag("full")
class MariaDBModelTests(MariaDBTestCase, ServerModelTests, ModelTestCase):
    pass
