"""The Canvas interface.

tools             LTI tools, and the callback URLs of their launches
callbacks         requests to callback URLs
page_views        page view reports
page_urls         secrets in the URLs of pages
pagination        pages, time window and Link header
urls              absolute URLs of this server
"""
