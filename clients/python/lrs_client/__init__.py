"""Report tables of a Learning Record Store as pandas DataFrames, over HTTP.

from lrs_client import DataConnector

dc = DataConnector()  # reads LRS_URL, LRS_PARTNER, LRS_KEY and LRS_SECRET
dc.course_fact().merge(dc.course_dim(), on="course_id")
"""

from lrs_client.connector import TABLES, ConnectorError, DataConnector

__all__ = ["TABLES", "ConnectorError", "DataConnector"]
